//! Operations, as far as the commands must understand them.

use serde::Deserialize;

/// A durable piece of work of the control plane.
#[derive(Debug, Clone, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What it does, such as `provision`.
    pub kind: String,
    /// Where it stands, such as `running`.
    pub state: String,
    /// Its steps in order, as far as they are known.
    #[serde(default)]
    pub steps: Vec<OperationStep>,
    /// Why it failed.
    pub error: Option<serde_json::Value>,
}

/// One step of an operation.
#[derive(Debug, Clone, Deserialize)]
pub struct OperationStep {
    /// Its name.
    pub name: String,
    /// Where it stands, such as `done`.
    pub state: String,
}

impl Operation {
    /// Will its state change no more?
    #[must_use]
    pub fn has_finished(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled" | "undo-failed")
    }

    /// Did it do what it was for?
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        self.state == "succeeded"
    }

    /// Steps that are done, and steps in all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.steps.iter().filter(|step| step.state == "done").count(), self.steps.len())
    }

    /// The step that is being worked on.
    #[must_use]
    pub fn current_step(&self) -> Option<&str> {
        let at_work = |step: &&OperationStep| matches!(step.state.as_str(), "running" | "failed");
        let next = |step: &&OperationStep| step.state == "pending";
        let step = self.steps.iter().find(at_work).or_else(|| self.steps.iter().find(next))?;
        Some(&step.name)
    }

    /// Why it failed, in words.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let part = |name| error.get(name).and_then(serde_json::Value::as_str);
        // Whoever is not the operator gets no message.
        let text = error.as_str().or_else(|| part("message")).or_else(|| part("code"));
        Some(text.map_or_else(|| error.to_string(), str::to_owned))
    }
}

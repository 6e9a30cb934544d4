//! One step once: run or undone, with the places where a test steps in.

use super::run::Run;
use super::{Executor, Stop};
use crate::operations::error::StepError;
use crate::operations::failpoint::{Action, Moment};
use crate::operations::step::{Reversal, Step};
use serde_json::Value;

impl Executor {
    /// Runs a step. The outer error is not the step's: the walk ends there.
    pub(super) async fn run(&self, run: &Run, step: &Step) -> Result<Result<Value, StepError>, Stop> {
        if self.pass(run, step, Moment::BeforeRun)? == Action::Fail {
            return Ok(Err(StepError::Failpoint));
        }
        let output = (step.run)(&run.cx).await;
        if output.is_err() {
            return Ok(output);
        }
        Ok(match self.pass(run, step, Moment::AfterRun)? {
            Action::Fail => Err(StepError::Failpoint),
            Action::Repeat => (step.run)(&run.cx).await,
            Action::Continue | Action::Crash => output,
        })
    }

    /// Undoes a step, whatever it has done.
    pub(super) async fn undo(&self, run: &Run, step: &Step) -> Result<Result<(), StepError>, Stop> {
        let Reversal::By(undo) = step.reversal else { return Ok(Ok(())) };
        if self.pass(run, step, Moment::BeforeUndo)? == Action::Fail {
            return Ok(Err(StepError::Failpoint));
        }
        let undone = undo(&run.cx).await;
        if undone.is_err() {
            return Ok(undone);
        }
        Ok(match self.pass(run, step, Moment::AfterUndo)? {
            Action::Fail => Err(StepError::Failpoint),
            Action::Repeat => undo(&run.cx).await,
            Action::Continue | Action::Crash => undone,
        })
    }

    /// Passes a place where a test may step in.
    pub(super) fn pass(&self, run: &Run, step: &Step, moment: Moment) -> Result<Action, Stop> {
        match self.failpoints.reached(run.cx.operation(), step.name, moment) {
            Action::Crash => Err(Stop::Crashed),
            action => Ok(action),
        }
    }
}

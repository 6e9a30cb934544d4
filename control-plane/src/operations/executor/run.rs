//! An operation on its way: what its record says, kept up with as it goes.

use super::{CANCELLED, Ended, Executor};
use crate::operations::context::StepContext;
use crate::operations::journal::Entry;
use crate::operations::registry::OperationKind;
use crate::operations::step::Step;
use catalog_schema::{Claim, ClaimedOperation, Context, Direction, StepOutcome, StepRecord, StepState};
use serde_json::Value;
use std::time::Duration;

/// How long an operation that only another release knows is left alone.
pub(super) const UNKNOWN_KIND_PAUSE: Duration = Duration::from_secs(30);

/// One operation on its way.
pub(super) struct Run {
    pub(super) kind: OperationKind,
    pub(super) cx: StepContext,
    pub(super) direction: Direction,
    pub(super) states: Vec<StepState>,
    /// Why it is being undone.
    pub(super) error: Option<Value>,
    /// The end of the step before, to be written with what comes next.
    pub(super) unwritten: Vec<Entry>,
}

impl Run {
    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = (usize, &'static Step)> + use<> {
        self.kind.steps().iter().enumerate()
    }

    /// Has a step begun that cannot be undone?
    pub(super) fn past_return(&self) -> bool {
        self.steps().any(|(index, step)| step.has_no_return(self.states[index]))
    }

    pub(super) fn needs_undo(&self, index: usize, step: &Step) -> bool {
        match self.states[index] {
            StepState::Running | StepState::Done | StepState::Failed => true,
            StepState::Pending => step.begun_by_request,
            StepState::Undone => false,
        }
    }

    /// A step has ended, or one attempt of it.
    pub(super) fn ended(&mut self, index: usize, state: StepState, outcome: StepOutcome) {
        self.states[index] = state;
        self.unwritten.push(Entry::StepFinish { ordinal: ordinal(index), outcome });
    }

    pub(super) fn was_cancelled(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error["code"] == CANCELLED)
    }
}

impl Executor {
    /// Gives an operation back that only another release can work on.
    pub(super) async fn leave_alone(&self, audit: &Context, claim: &Claim) -> Ended {
        tracing::error!("an operation of another release is left alone");
        let waiting = async {
            let mut tx = self.state.catalog.begin_fenced(audit, claim).await?;
            tx.operation_wait(UNKNOWN_KIND_PAUSE, None).await?;
            tx.commit().await
        };
        match waiting.await {
            Ok(()) => Ended::Parked(UNKNOWN_KIND_PAUSE),
            Err(_) => Ended::Lost,
        }
    }

    /// Takes up an operation where its record says it stands. `None` for one whose kind or steps only another
    /// release knows.
    pub(super) fn open(&self, claimed: ClaimedOperation, audit: Context) -> Option<Run> {
        let ClaimedOperation { claim, operation, steps } = claimed;
        let (kind, tenant) = OperationKind::parse(&operation.kind).zip(operation.tenant)?;
        let mut cx = StepContext::new(self.state.clone(), claim, audit, tenant);
        let mut states = vec![StepState::Pending; kind.steps().len()];
        for record in steps {
            restore(&mut cx, &mut states, kind, record)?;
        }
        Some(Run {
            kind,
            cx,
            direction: operation.direction,
            states,
            error: operation.error,
            unwritten: Vec::new(),
        })
    }
}

/// `None` for a step that is not ours: what was done under another name must be neither skipped nor undone as ours.
fn restore(
    cx: &mut StepContext,
    states: &mut [StepState],
    kind: OperationKind,
    record: StepRecord,
) -> Option<()> {
    let place = usize::try_from(record.ordinal).ok()?;
    let (state, step) = states.get_mut(place).zip(kind.steps().get(place))?;
    if record.name != step.name {
        return None;
    }
    *state = record.state;
    cx.remember(step.name, record.output);
    Some(())
}

/// The catalog's number for a step.
pub(super) fn ordinal(index: usize) -> u32 {
    u32::try_from(index).expect("operations have a handful of steps")
}

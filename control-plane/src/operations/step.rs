//! What an operation is made of: steps, each of which may run twice, and most of which can be undone.

use super::context::StepContext;
use super::error::StepError;
use catalog_schema::StepState;
use serde_json::Value;
use std::pin::Pin;

/// What a step or an undo returns: boxed, so that steps of all operations fit one list.
pub(crate) type StepFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StepError>> + Send + 'a>>;

/// Does the step's work. Its output is kept with the operation and shown, so it holds no secret.
pub(crate) type Run = for<'a> fn(&'a StepContext) -> StepFuture<'a, Value>;

/// Takes back whatever the step did, all of it, a part of it or nothing.
pub(crate) type Undo = for<'a> fn(&'a StepContext) -> StepFuture<'a, ()>;

/// How a step is taken back.
#[derive(Clone, Copy)]
pub(crate) enum Reversal {
    /// By running this.
    By(Undo),
    /// It leaves nothing that the undo of an earlier step does not take with it.
    Nothing,
    /// Not at all. Once it has begun the operation goes only forward, however often it must try.
    Impossible,
}

/// One idempotent part of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// One line for people, as a dry run shows it.
    pub(crate) summary: &'static str,
    pub(crate) run: Run,
    pub(crate) reversal: Reversal,
    /// Its change of the catalog is made with the request already, so it is undone even if it never ran.
    pub(crate) begun_by_request: bool,
}

impl Step {
    /// A step that leaves nothing to undo, unless one of the methods below says otherwise.
    pub(crate) const fn new(name: &'static str, summary: &'static str, run: Run) -> Self {
        Self { name, summary, run, reversal: Reversal::Nothing, begun_by_request: false }
    }

    /// Says that the request itself has made the step's change of the catalog.
    pub(crate) const fn begun_by_request(mut self) -> Self {
        self.begun_by_request = true;
        self
    }

    /// Says how to take it back.
    pub(crate) const fn undo(mut self, undo: Undo) -> Self {
        self.reversal = Reversal::By(undo);
        self
    }

    /// Marks it as the point of no return.
    pub(crate) const fn point_of_no_return(mut self) -> Self {
        self.reversal = Reversal::Impossible;
        self
    }

    /// Is there no way back from this step, which stands like this?
    pub(crate) fn has_no_return(&self, state: StepState) -> bool {
        self.is_point_of_no_return() && (self.begun_by_request || state != StepState::Pending)
    }

    /// Is there no way back once this step has begun?
    pub(crate) const fn is_point_of_no_return(&self) -> bool {
        matches!(self.reversal, Reversal::Impossible)
    }
}

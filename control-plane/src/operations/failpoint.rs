//! Places where a test makes an operation fail, repeat or die.
//!
//! The executor is given its failpoints like anything else it needs: there is no global, and the code
//! that production runs is the code that is tested.

use tenancy::OperationId;

/// Where the executor is, seen from one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Recorded as running, and the step before as done. Nothing done yet.
    BeforeRun,
    /// Done, and not recorded as done: a crash here makes the step run again.
    AfterRun,
    /// About to be undone.
    BeforeUndo,
    /// Undone, and not recorded as undone.
    AfterUndo,
}

/// What is to happen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// The step fails, and trying again would not help.
    Fail,
    /// The step runs once more before it is recorded.
    Repeat,
    /// The process is gone: nothing is written any more, the claim stays until it expires.
    Crash,
}

/// Decides what happens at each place.
pub trait Failpoints: Send + Sync {
    /// Called at every moment of every step.
    fn reached(&self, operation: OperationId, step: &str, moment: Moment) -> Action;
}

/// Nothing ever happens.
pub struct NoFailpoints;

impl Failpoints for NoFailpoints {
    fn reached(&self, _: OperationId, _: &str, _: Moment) -> Action {
        Action::Continue
    }
}

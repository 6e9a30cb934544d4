//! What the executor writes down, and how often it tries to.

use super::context::StepContext;
use catalog_schema::{CatalogError, FencedTx, Outcome, StepOutcome};
use serde_json::Value;
use std::time::Duration;

/// Tries to write an entry while the catalog is away. If it stays away longer, the claim runs out and whoever
/// claims the operation next does the step again.
const ATTEMPTS_MAX: u32 = 5;

/// The wait between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// One change of an operation's record. Those that belong together are written together.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A step begins, or its undo does. With the first that cannot be undone, begun `for_good`, nobody can stop the
    /// operation any more; it does not begin if somebody has just asked to.
    StepStart { ordinal: u32, name: &'static str, for_good: bool },
    /// A step, or its undo, has ended.
    StepFinish { ordinal: u32, outcome: StepOutcome },
    /// From here on the operation goes backward.
    Turn { error: Value },
    /// The claim is given back until later.
    Wait { delay: Duration, error: Option<Value> },
    /// The operation has ended.
    Finish(Outcome),
}

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// All of it, and the step that is begun in it has been begun so often; 0 when none is.
    All { begun: u32 },
    /// Nothing, because somebody has asked to stop the operation.
    Cancelled,
}

impl Written {
    /// How often the step has been begun that was begun in it.
    pub(super) const fn begun(self) -> u32 {
        match self {
            Self::All { begun } => begun,
            Self::Cancelled => 0,
        }
    }
}

/// Writes entries in one transaction, if the operation is still ours.
///
/// Trying again after an unclear end is harmless: at worst a start is counted twice.
pub(super) async fn write(cx: &StepContext, entries: &[Entry]) -> Result<Written, CatalogError> {
    let mut tried = 0;
    loop {
        tried += 1;
        match write_once(cx, entries).await {
            Err(error) if error.retryable() && tried < ATTEMPTS_MAX => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn write_once(cx: &StepContext, entries: &[Entry]) -> Result<Written, CatalogError> {
    let mut tx = cx.fenced().await?;
    let for_good = entries.iter().any(|entry| matches!(entry, Entry::StepStart { for_good: true, .. }));
    if for_good && tx.operation_cancel_requested().await? {
        tx.rollback().await?;
        return Ok(Written::Cancelled);
    }
    let mut begun = 0;
    for entry in entries {
        begun = begun.max(apply(&mut tx, entry).await?);
    }
    tx.commit().await?;
    Ok(Written::All { begun })
}

async fn apply(tx: &mut FencedTx, entry: &Entry) -> Result<u32, CatalogError> {
    match entry {
        Entry::StepStart { ordinal, name, .. } => return tx.step_start(*ordinal, name).await,
        Entry::StepFinish { ordinal, outcome } => tx.step_finish(*ordinal, outcome).await?,
        Entry::Turn { error } => tx.operation_undo(Some(error)).await?,
        Entry::Wait { delay, error } => tx.operation_wait(*delay, error.as_ref()).await?,
        Entry::Finish(outcome) => drop(tx.operation_finish(outcome).await?),
    }
    Ok(0)
}

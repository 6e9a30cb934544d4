//! Walks one claimed operation as far as it goes: forward, or backward once something cannot be done.

mod attempt;
mod run;

use super::backoff::{self, ATTEMPTS_MAX, UNDO_ATTEMPTS_MAX};
use super::error::StepError;
use super::failpoint::Failpoints;
use super::journal::{self, Entry, Written};
use super::step::Step;
use crate::context::EngineState;
use catalog_schema::{
    CatalogError, Claim, ClaimedOperation, Context, Direction, OperationState, Outcome, StepOutcome,
    StepState,
};
use run::Run;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The error code of an operation that is undone because somebody asked for it.
const CANCELLED: &str = "cancelled";

/// Starts of a step, retries and crashes together, after which it is taken for one that brings the process down.
const STARTS_MAX: u32 = 3 * ATTEMPTS_MAX;

/// How the work on an operation came to an end, for now or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// For good, in this state.
    Finished(OperationState),
    /// It goes on after this long.
    Parked(Duration),
    /// The claim is lost, or the catalog is: somebody will take it up once the lease has run out.
    Lost,
    /// A failpoint played dead.
    Crashed,
}

/// What cuts the walk short.
enum Stop {
    Lost(CatalogError),
    Crashed,
}

impl From<CatalogError> for Stop {
    fn from(error: CatalogError) -> Self {
        Self::Lost(error)
    }
}

/// Works off claimed operations. Shared by all tasks of a worker.
pub(super) struct Executor {
    pub(super) state: EngineState,
    pub(super) failpoints: Arc<dyn Failpoints>,
    pub(super) lease: Duration,
    pub(super) worker: String,
    /// Between two steps the operation is handed back when this is cancelled.
    pub(super) shutdown: CancellationToken,
}

impl Executor {
    /// Walks the operation while its claim holds, and renews the claim meanwhile.
    pub(super) async fn work(&self, claimed: ClaimedOperation) -> Ended {
        let _running = self.state.metrics.running();
        let claim = claimed.claim.clone();
        let ended = tokio::select! {
            ended = self.walk(claimed) => ended,
            () = self.keep(&claim) => Ended::Lost,
        };
        tracing::debug!(?ended, "work on the operation ended");
        ended
    }

    /// Renews the claim; returns when it is lost or can no longer be trusted.
    async fn keep(&self, claim: &Claim) {
        let mut renewed_at = Instant::now();
        loop {
            tokio::time::sleep(self.lease / 4).await;
            let asked_at = Instant::now();
            match self.state.catalog.operation_renew(claim, self.lease).await {
                Ok(_) => renewed_at = asked_at,
                Err(CatalogError::Fenced) => return self.unless_finished(claim).await,
                Err(error) => tracing::warn!(%error, "the claim could not be renewed"),
            }
            if renewed_at.elapsed() >= self.lease {
                return;
            }
        }
    }

    /// A finished operation has no claim to renew. It may be the walk that has just finished it, and is about to
    /// say so; if it was somebody else, the walk learns that with its next write.
    async fn unless_finished(&self, claim: &Claim) {
        let record = self.state.catalog.operation_get(claim.operation).await;
        if record.is_ok_and(|record| record.is_some_and(|record| record.state.is_finished())) {
            std::future::pending::<()>().await;
        }
    }

    async fn walk(&self, claimed: ClaimedOperation) -> Ended {
        let audit = Context {
            actor: format!("worker:{}", self.worker),
            request_id: claimed.operation.request_id.clone(),
        };
        let claim = claimed.claim.clone();
        let Some(mut run) = self.open(claimed, audit.clone()) else {
            return self.leave_alone(&audit, &claim).await;
        };
        let walked = match run.direction {
            Direction::Forward => self.forward(&mut run).await,
            Direction::Undo => self.backward(&mut run).await,
        };
        match walked {
            Ok(ended) => {
                if let Ended::Finished(state) = ended {
                    tracing::info!(operation.state = %state, "operation finished");
                    self.state.metrics.operation_finished(run.kind.as_str(), state.as_str());
                }
                ended
            }
            Err(Stop::Lost(error)) => {
                tracing::warn!(%error, "the operation was left to whoever claims it next");
                Ended::Lost
            }
            Err(Stop::Crashed) => Ended::Crashed,
        }
    }

    async fn forward(&self, run: &mut Run) -> Result<Ended, Stop> {
        for (index, step) in run.steps() {
            if run.states[index] == StepState::Done {
                continue;
            }
            if self.shutdown.is_cancelled() {
                return self.hand_back(run).await;
            }
            if !run.past_return() && self.cancel_requested(run).await? {
                return self.cancelled(run).await;
            }
            let for_good = step.is_point_of_no_return() && !run.past_return();
            let written = self.begin(run, index, step, for_good).await?;
            if written == Written::Cancelled {
                return self.cancelled(run).await;
            }
            let attempt = written.begun();
            if attempt > STARTS_MAX && !run.past_return() {
                return self.failed(run, index, step, attempt, StepError::NeverEnds(attempt)).await;
            }
            let started = Instant::now();
            match self.run(run, step).await? {
                Ok(output) => {
                    run.cx.remember(step.name, output.clone());
                    run.ended(index, StepState::Done, StepOutcome::Done { output });
                    self.state.metrics.step_done(run.kind.as_str(), step.name, started.elapsed());
                }
                Err(error) => return self.failed(run, index, step, attempt, error).await,
            }
        }
        self.write(run, Entry::Finish(Outcome::Succeeded)).await?;
        Ok(Ended::Finished(OperationState::Succeeded))
    }

    /// A step has failed: again later, or back.
    async fn failed(
        &self,
        run: &mut Run,
        index: usize,
        step: &Step,
        attempt: u32,
        error: StepError,
    ) -> Result<Ended, Stop> {
        if error.fenced() {
            return Err(Stop::Lost(CatalogError::Fenced));
        }
        self.state.metrics.step_failed(run.kind.as_str(), step.name);
        let record = error.record(step.name);
        if run.past_return() || (error.retryable() && attempt < ATTEMPTS_MAX) {
            tracing::warn!(step = step.name, attempt, %error, "a step failed and will be tried again");
            run.ended(index, StepState::Running, StepOutcome::Retry { error: record.clone() });
            return self.park(run, backoff::delay(attempt, backoff::jitter()), Some(record)).await;
        }
        tracing::warn!(step = step.name, attempt, %error, "a step failed, the operation is undone");
        run.ended(index, StepState::Failed, StepOutcome::Failed { error: record.clone() });
        self.turn(run, record).await
    }

    async fn cancelled(&self, run: &mut Run) -> Result<Ended, Stop> {
        let error = json!({ "code": CANCELLED, "message": "cancelled on request", "retryable": false });
        self.turn(run, error).await
    }

    async fn turn(&self, run: &mut Run, error: Value) -> Result<Ended, Stop> {
        self.write(run, Entry::Turn { error: error.clone() }).await?;
        run.error = Some(error);
        // Boxed: backward and forward would otherwise be one type without an end.
        Box::pin(self.backward(run)).await
    }

    async fn backward(&self, run: &mut Run) -> Result<Ended, Stop> {
        for (index, step) in run.steps().rev() {
            if !run.needs_undo(index, step) {
                continue;
            }
            if self.shutdown.is_cancelled() {
                return self.hand_back(run).await;
            }
            let attempt = self.begin(run, index, step, false).await?.begun();
            match self.undo(run, step).await? {
                Ok(()) => run.ended(index, StepState::Undone, StepOutcome::Undone),
                Err(error) if error.fenced() => return Err(Stop::Lost(CatalogError::Fenced)),
                Err(error) => return self.undo_failed(run, index, step, attempt, error).await,
            }
        }
        let (outcome, state) = match &run.error {
            Some(error) if !run.was_cancelled() => {
                (Outcome::Failed { error: error.clone() }, OperationState::Failed)
            }
            _ => (Outcome::Cancelled, OperationState::Cancelled),
        };
        self.write(run, Entry::Finish(outcome)).await?;
        Ok(Ended::Finished(state))
    }

    /// An undo has failed: again later, or a person has to look.
    async fn undo_failed(
        &self,
        run: &mut Run,
        index: usize,
        step: &Step,
        attempt: u32,
        error: StepError,
    ) -> Result<Ended, Stop> {
        self.state.metrics.step_failed(run.kind.as_str(), step.name);
        let mut record = error.record(step.name);
        if error.retryable() && attempt < ATTEMPTS_MAX + UNDO_ATTEMPTS_MAX {
            tracing::warn!(step = step.name, attempt, %error, "an undo failed and will be tried again");
            run.ended(index, StepState::Running, StepOutcome::Retry { error: record });
            // Without an error: the operation's own is why it is undone, and says whether it was cancelled.
            return self.park(run, backoff::delay(attempt, backoff::jitter()), None).await;
        }
        tracing::error!(step = step.name, attempt, %error, "an undo failed for good, somebody has to look");
        run.ended(index, StepState::Failed, StepOutcome::Failed { error: record.clone() });
        record["undoing"] = run.error.clone().unwrap_or_default();
        self.write(run, Entry::Finish(Outcome::UndoFailed { error: record })).await?;
        Ok(Ended::Finished(OperationState::UndoFailed))
    }

    async fn park(&self, run: &mut Run, delay: Duration, error: Option<Value>) -> Result<Ended, Stop> {
        self.write(run, Entry::Wait { delay, error }).await?;
        Ok(Ended::Parked(delay))
    }

    /// We shut down: the next control plane need not wait for the lease to run out.
    async fn hand_back(&self, run: &mut Run) -> Result<Ended, Stop> {
        self.park(run, Duration::ZERO, None).await
    }

    async fn begin(
        &self,
        run: &mut Run,
        index: usize,
        step: &'static Step,
        for_good: bool,
    ) -> Result<Written, Stop> {
        let start = Entry::StepStart { ordinal: run::ordinal(index), name: step.name, for_good };
        let written = self.write(run, start).await?;
        if written != Written::Cancelled {
            run.states[index] = StepState::Running;
        }
        Ok(written)
    }

    /// Writes an entry, and with it the end of the step before. That one end waits this long costs nothing: a
    /// crash in between runs the step again, as a crash before its end would. It halves the commits.
    async fn write(&self, run: &mut Run, entry: Entry) -> Result<Written, Stop> {
        run.unwritten.push(entry);
        let written = journal::write(&run.cx, &run.unwritten).await?;
        match written {
            Written::All { .. } => run.unwritten.clear(),
            // What has ended has ended all the same, and is written with what comes next.
            Written::Cancelled => drop(run.unwritten.pop()),
        }
        Ok(written)
    }

    async fn cancel_requested(&self, run: &Run) -> Result<bool, Stop> {
        let operation = self.state.catalog.operation_get(run.cx.operation()).await?;
        Ok(operation.is_some_and(|operation| operation.cancel_requested))
    }
}

#[cfg(test)]
mod tests;

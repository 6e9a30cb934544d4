//! Walks one claimed operation as far as it goes: forward, or backward once something cannot be done.

use super::backoff::{self, ATTEMPTS_MAX, UNDO_ATTEMPTS_MAX};
use super::context::StepContext;
use super::error::StepError;
use super::failpoint::{Action, Failpoints, Moment};
use super::journal::{self, Entry};
use super::registry::OperationKind;
use super::step::{Reversal, Step};
use crate::context::EngineState;
use catalog_schema::{
    CatalogError, ClaimedOperation, Context, Direction, OperationState, Outcome, StepOutcome, StepRecord,
    StepState,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The error code of an operation that is undone because somebody asked for it.
const CANCELLED: &str = "cancelled";

/// How long an operation that only a newer release knows is left alone.
const UNKNOWN_KIND_PAUSE: Duration = Duration::from_secs(30);

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

/// One operation on its way.
struct Run {
    kind: OperationKind,
    cx: StepContext,
    direction: Direction,
    states: Vec<StepState>,
    error: Option<Value>,
}

impl Run {
    fn steps(&self) -> impl DoubleEndedIterator<Item = (usize, &'static Step)> + use<> {
        self.kind.steps().iter().enumerate()
    }

    /// Has a step begun that cannot be undone?
    fn past_return(&self) -> bool {
        self.steps().any(|(index, step)| step.has_no_return(self.states[index]))
    }

    fn needs_undo(&self, index: usize, step: &Step) -> bool {
        match self.states[index] {
            StepState::Running | StepState::Done | StepState::Failed => true,
            StepState::Pending => step.begun_by_request,
            StepState::Undone => false,
        }
    }

    fn was_cancelled(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error["code"] == CANCELLED)
    }
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
    async fn keep(&self, claim: &catalog_schema::Claim) {
        let mut renewed_at = Instant::now();
        loop {
            tokio::time::sleep(self.lease / 4).await;
            let asked_at = Instant::now();
            match self.state.catalog.operation_renew(claim, self.lease).await {
                Ok(_) => renewed_at = asked_at,
                Err(CatalogError::Fenced) => return,
                Err(error) => tracing::warn!(%error, "the claim could not be renewed"),
            }
            if renewed_at.elapsed() >= self.lease {
                return;
            }
        }
    }

    async fn walk(&self, claimed: ClaimedOperation) -> Ended {
        let Some(mut run) = self.open(claimed).await else { return Ended::Parked(UNKNOWN_KIND_PAUSE) };
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

    /// Takes up an operation where its record says it stands.
    async fn open(&self, claimed: ClaimedOperation) -> Option<Run> {
        let ClaimedOperation { claim, operation, steps } = claimed;
        let audit = Context { actor: format!("worker:{}", self.worker), request_id: operation.request_id };
        let known = OperationKind::parse(&operation.kind).zip(operation.tenant);
        let Some((kind, tenant)) = known else {
            tracing::error!(kind = operation.kind, "an operation of a newer release is left alone");
            let waiting = self.state.catalog.begin_fenced(&audit, &claim).await;
            if let Ok(mut tx) = waiting
                && tx.operation_wait(UNKNOWN_KIND_PAUSE, None).await.is_ok()
            {
                drop(tx.commit().await);
            }
            return None;
        };
        let mut cx = StepContext::new(self.state.clone(), claim, audit, tenant);
        let mut states = vec![StepState::Pending; kind.steps().len()];
        for record in steps {
            restore(&mut cx, &mut states, kind, record);
        }
        Some(Run { kind, cx, direction: operation.direction, states, error: operation.error })
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
                let error =
                    json!({ "code": CANCELLED, "message": "cancelled on request", "retryable": false });
                return self.turn(run, vec![], error).await;
            }
            let attempt = self.begin(run, index, step).await?;
            let started = Instant::now();
            match self.run(run, step).await? {
                Ok(output) => {
                    run.cx.remember(step.name, output.clone());
                    self.end(run, index, StepOutcome::Done { output }, StepState::Done).await?;
                    self.state.metrics.step_done(run.kind.as_str(), step.name, started.elapsed());
                    self.pass(run, step, Moment::AfterRecord)?;
                }
                Err(error) => return self.failed(run, index, step, attempt, error).await,
            }
        }
        journal::write(&run.cx, &[Entry::Finish(Outcome::Succeeded)]).await?;
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
            return self.park(run, index, attempt, record).await;
        }
        tracing::warn!(step = step.name, attempt, %error, "a step failed, the operation is undone");
        run.states[index] = StepState::Failed;
        let failed = StepOutcome::Failed { error: record.clone() };
        let entry = Entry::StepFinish { ordinal: ordinal(index), outcome: failed };
        self.turn(run, vec![entry], record).await
    }

    async fn turn(&self, run: &mut Run, mut entries: Vec<Entry>, error: Value) -> Result<Ended, Stop> {
        entries.push(Entry::Turn { error: error.clone() });
        journal::write(&run.cx, &entries).await?;
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
            let attempt = self.begin(run, index, step).await?;
            match self.undo(run, step).await? {
                Ok(()) => self.end(run, index, StepOutcome::Undone, StepState::Undone).await?,
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
        journal::write(&run.cx, &[Entry::Finish(outcome)]).await?;
        Ok(Ended::Finished(state))
    }

    /// An undo has failed: again later, or a person has to look.
    async fn undo_failed(
        &self,
        run: &Run,
        index: usize,
        step: &Step,
        attempt: u32,
        error: StepError,
    ) -> Result<Ended, Stop> {
        self.state.metrics.step_failed(run.kind.as_str(), step.name);
        let record = error.record(step.name);
        if error.retryable() && attempt < ATTEMPTS_MAX + UNDO_ATTEMPTS_MAX {
            tracing::warn!(step = step.name, attempt, %error, "an undo failed and will be tried again");
            let delay = backoff::delay(attempt, backoff::jitter());
            let retry = StepOutcome::Retry { error: record };
            let entries = [
                Entry::StepFinish { ordinal: ordinal(index), outcome: retry },
                // Without an error: the operation's own is why it is undone, and says whether it was cancelled.
                Entry::Wait { delay, error: None },
            ];
            journal::write(&run.cx, &entries).await?;
            return Ok(Ended::Parked(delay));
        }
        tracing::error!(step = step.name, attempt, %error, "an undo failed for good, somebody has to look");
        let entries = [
            Entry::StepFinish {
                ordinal: ordinal(index),
                outcome: StepOutcome::Failed { error: record.clone() },
            },
            Entry::Finish(Outcome::UndoFailed { error: record }),
        ];
        journal::write(&run.cx, &entries).await?;
        Ok(Ended::Finished(OperationState::UndoFailed))
    }

    async fn park(&self, run: &Run, index: usize, attempt: u32, error: Value) -> Result<Ended, Stop> {
        let delay = backoff::delay(attempt, backoff::jitter());
        let retry = StepOutcome::Retry { error: error.clone() };
        let entries = [
            Entry::StepFinish { ordinal: ordinal(index), outcome: retry },
            Entry::Wait { delay, error: Some(error) },
        ];
        journal::write(&run.cx, &entries).await?;
        Ok(Ended::Parked(delay))
    }

    /// We shut down: the next control plane need not wait for the lease to run out.
    async fn hand_back(&self, run: &Run) -> Result<Ended, Stop> {
        journal::write(&run.cx, &[Entry::Wait { delay: Duration::ZERO, error: None }]).await?;
        Ok(Ended::Parked(Duration::ZERO))
    }

    async fn begin(&self, run: &mut Run, index: usize, step: &'static Step) -> Result<u32, Stop> {
        run.states[index] = StepState::Running;
        Ok(journal::write(&run.cx, &[Entry::StepStart { ordinal: ordinal(index), name: step.name }]).await?)
    }

    async fn end(
        &self,
        run: &mut Run,
        index: usize,
        outcome: StepOutcome,
        state: StepState,
    ) -> Result<(), Stop> {
        journal::write(&run.cx, &[Entry::StepFinish { ordinal: ordinal(index), outcome }]).await?;
        run.states[index] = state;
        Ok(())
    }

    async fn run(&self, run: &Run, step: &Step) -> Result<Result<Value, StepError>, Stop> {
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

    async fn undo(&self, run: &Run, step: &Step) -> Result<Result<(), StepError>, Stop> {
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

    fn pass(&self, run: &Run, step: &Step, moment: Moment) -> Result<Action, Stop> {
        match self.failpoints.reached(run.cx.operation(), step.name, moment) {
            Action::Crash => Err(Stop::Crashed),
            action => Ok(action),
        }
    }

    async fn cancel_requested(&self, run: &Run) -> Result<bool, Stop> {
        let operation = self.state.catalog.operation_get(run.cx.operation()).await?;
        Ok(operation.is_some_and(|operation| operation.cancel_requested))
    }
}

fn restore(cx: &mut StepContext, states: &mut [StepState], kind: OperationKind, record: StepRecord) {
    let place = usize::try_from(record.ordinal).unwrap_or(usize::MAX);
    if let (Some(state), Some(step)) = (states.get_mut(place), kind.steps().get(place)) {
        *state = record.state;
        cx.remember(step.name, record.output);
    }
}

fn ordinal(index: usize) -> u32 {
    u32::try_from(index).expect("operations have a handful of steps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::failpoint::NoFailpoints;
    use crate::operations::standard::{self, LEASE};
    use crate::testing::{World, eventually};
    use catalog_schema::Claim;
    use tenancy::TenantState;

    fn executor(world: &World, number: u32) -> Executor {
        let none: Arc<dyn Failpoints> = Arc::new(NoFailpoints);
        standard::executor(world, &none, number)
    }

    async fn claim(world: &World, executor: &Executor) -> ClaimedOperation {
        let look = async || world.catalog.operation_claim(&executor.worker, LEASE).await.unwrap();
        eventually("an operation to claim", look).await
    }

    fn context(world: &World, claim: Claim, claimed: &ClaimedOperation) -> StepContext {
        let audit = Context { actor: "test".to_owned(), request_id: "test".to_owned() };
        StepContext::new(world.engine.clone(), claim, audit, claimed.operation.tenant.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_lost_the_claim_writes_and_changes_nothing_more() {
        let world = World::new().await;
        let (slow, quick) = (executor(&world, 1), executor(&world, 2));
        standard::request_provision(&world).await;
        let lost = claim(&world, &slow).await;
        let cx = context(&world, lost.claim.clone(), &lost);
        let held = claim(&world, &quick).await;
        assert_eq!(held.operation.id, lost.operation.id);
        assert!(held.claim.fence > lost.claim.fence);

        let entry = Entry::StepStart { ordinal: 0, name: "reserve" };
        assert!(matches!(journal::write(&cx, &[entry]).await, Err(CatalogError::Fenced)));
        let cluster =
            world.catalog.cluster_by_name(&"eu-1".parse().unwrap()).await.unwrap().unwrap().cluster.id;
        let endpoint = cx.endpoint(cluster).await.unwrap();
        assert!(cx.change_cluster(&endpoint).await.is_err_and(|error| error.fenced()));
        assert_eq!(slow.work(lost).await, Ended::Lost);
        assert_eq!(quick.work(held).await, Ended::Finished(OperationState::Succeeded));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_shuts_down_hands_back_and_the_next_goes_on_at_once() {
        let world = World::new().await;
        let (tenant, operation) = standard::request_provision(&world).await;
        let leaving = executor(&world, 1);
        leaving.shutdown.cancel();
        let claimed = claim(&world, &leaving).await;
        assert_eq!(leaving.work(claimed).await, Ended::Parked(Duration::ZERO));
        let record = world.catalog.operation_get(operation).await.unwrap().unwrap();
        assert!(record.claimed_by.is_none() && record.error.is_none());
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        assert_eq!(world.catalog.tenant_get(tenant).await.unwrap().unwrap().state, TenantState::Active);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_operation_of_a_newer_release_is_left_alone() {
        let world = World::new().await;
        let mut tx = world.catalog.begin(&crate::testing::somebody()).await.unwrap();
        let new = catalog_schema::NewOperation {
            id: tenancy::OperationId::generate(),
            kind: "teleport".to_owned(),
            tenant: None,
            params: json!({}),
            steps: vec!["vanish".to_owned()],
            run_at: None,
        };
        tx.operation_enqueue(&new).await.unwrap();
        tx.commit().await.unwrap();
        let executor = executor(&world, 1);
        let claimed = claim(&world, &executor).await;
        assert_eq!(executor.work(claimed).await, Ended::Parked(UNKNOWN_KIND_PAUSE));
        let record = world.catalog.operation_get(new.id).await.unwrap().unwrap();
        assert_eq!((record.state, record.claimed_by), (OperationState::Waiting, None));
    }
}

//! Claims operations and has them worked off, several at a time.

use super::executor::{Ended, Executor};
use super::failpoint::Failpoints;
use super::progress::Progress;
use crate::context::EngineState;
use catalog_schema::ClaimedOperation;
use config::WorkerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

/// How long running steps get when we shut down. What takes longer is resumed by the next control plane.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// One process's worker.
pub(crate) struct Worker {
    state: EngineState,
    config: WorkerConfig,
    progress: Progress,
    failpoints: Arc<dyn Failpoints>,
}

impl Worker {
    pub(crate) fn new(
        state: EngineState,
        config: WorkerConfig,
        progress: Progress,
        failpoints: Arc<dyn Failpoints>,
    ) -> Self {
        Self { state, config, progress, failpoints }
    }

    /// Works until `shutdown`. Wakes by notification and, should one be lost, by the clock.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let executor = Arc::new(self.executor(shutdown.clone()));
        let mut news = self.progress.subscribe();
        let mut relistened = self.progress.subscribe_listening();
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut parked_until: Option<Instant> = None;
        let mut schema_fits = false;
        while !shutdown.is_cancelled() {
            // Told by the notifications' end that the catalog was away: it may have been migrated meanwhile.
            schema_fits &= !relistened.has_changed().unwrap_or(false);
            relistened.mark_unchanged();
            schema_fits = schema_fits || self.schema_fits().await;
            if schema_fits {
                self.claim_all(&executor, &mut running).await;
            }
            let now = Instant::now();
            parked_until = parked_until.filter(|until| *until > now);
            let look_again =
                parked_until.map_or(now + self.config.poll(), |until| until.min(now + self.config.poll()));
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = running.join_next() => {
                    if let Ok(Ended::Parked(delay)) = ended {
                        let until = Instant::now() + delay;
                        parked_until = Some(parked_until.map_or(until, |earlier| earlier.min(until)));
                    }
                }
                _ = news.changed() => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
        drain(running).await;
    }

    fn executor(&self, shutdown: CancellationToken) -> Executor {
        Executor {
            state: self.state.clone(),
            failpoints: Arc::clone(&self.failpoints),
            lease: self.config.lease(),
            // Unique for each start: a claim of a process that has died is never taken for ours.
            worker: Uuid::now_v7().simple().to_string(),
            shutdown,
        }
    }

    /// Work on a catalog of another version could be wrong in ways that nobody has thought of.
    async fn schema_fits(&self) -> bool {
        match self.state.catalog.check_version().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "no operation is claimed before the catalog's schema is known to fit");
                false
            }
        }
    }

    /// Claims as many operations as there are free hands.
    async fn claim_all(&self, executor: &Arc<Executor>, running: &mut JoinSet<Ended>) {
        while running.len() < self.config.concurrency {
            match self.state.catalog.operation_claim(&executor.worker, self.config.lease()).await {
                Ok(Some(claimed)) => start(executor, running, claimed),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "no operation could be claimed");
                    return;
                }
            }
        }
    }
}

fn start(executor: &Arc<Executor>, running: &mut JoinSet<Ended>, claimed: ClaimedOperation) {
    let span = tracing::info_span!(
        "operation",
        operation.id = %claimed.operation.id,
        operation.kind = claimed.operation.kind,
        tenant.id = claimed.operation.tenant.map(tracing::field::display),
        request.id = claimed.operation.request_id,
    );
    let executor = Arc::clone(executor);
    running.spawn(async move { executor.work(claimed).await }.instrument(span));
}

async fn drain(mut running: JoinSet<Ended>) {
    let ended = tokio::time::timeout(DRAIN_TIMEOUT, async { while running.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!(
            operations = running.len(),
            "steps were still running at the end of the drain and are cut off"
        );
    }
}

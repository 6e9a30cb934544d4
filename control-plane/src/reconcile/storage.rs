//! Measures what tenants' databases take, so that gateways can hold quotas. A bounded number a second on each cluster;
//! several control planes share the work, since a database that one has claimed is not due for the others.
//!
//! Must never take a cluster's lock: who is full must be found out while the cluster is busy.

use super::by_cluster::ByCluster;
use crate::context::EngineState;
use crate::metrics::Outcome;
use crate::postgres::{Endpoint, PostgresError, size};
use catalog_schema::{CatalogError, Context, DueDatabase, Measurement};
use config::StorageConfig;
use std::collections::HashMap;
use std::time::Duration;
use tenancy::{ClusterId, StorageStanding};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A second, for which `rate_max` is.
const ROUND: Duration = Duration::from_secs(1);

/// How often tenants are counted by how they stand. That looks at all of them.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

/// How long a cluster may take over one round. One that does not answer keeps its place meanwhile, and nobody else's.
const ROUND_MAX: Duration = Duration::from_secs(30);

/// Why databases were not measured.
#[derive(Debug, thiserror::Error)]
enum NotMeasured {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Cluster(#[from] PostgresError),
    #[error("the cluster is not on record")]
    NoCluster,
    #[error("the cluster took too long")]
    TooLong,
}

/// Runs until `shutdown`.
pub(crate) async fn run(state: EngineState, settings: StorageConfig, shutdown: CancellationToken) {
    let mut measuring = Measuring::new(state, settings);
    let mut rounds = tokio::time::interval(ROUND);
    // A round that has taken long is not made up for: the rate is a bound.
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            done = measuring.round() => if let Err(error) = done {
                tracing::debug!(%error, "the catalog could not be asked for databases to measure");
            },
            () = shutdown.cancelled() => return,
        }
    }
}

/// What is being measured. A round leaves out clusters of which the one before has not heard yet.
struct Measuring {
    state: EngineState,
    settings: StorageConfig,
    clusters: ByCluster,
    counted: Option<Instant>,
}

impl Measuring {
    fn new(state: EngineState, settings: StorageConfig) -> Self {
        Self { state, settings, clusters: ByCluster::default(), counted: None }
    }

    /// Begins to measure what is due, of every cluster as many as may be in a second.
    async fn round(&mut self) -> Result<(), CatalogError> {
        self.clusters.forget_idle();
        for cluster in self.state.catalog.storage_due_clusters().await? {
            let (state, settings) = (self.state.clone(), self.settings.clone());
            self.clusters.begin(cluster, async move { measure_some(&state, &settings, cluster).await });
        }
        let now = Instant::now();
        if self.counted.is_none_or(|counted| now >= counted + COUNT_INTERVAL) {
            self.counted = Some(now);
            self.state.metrics.storage_standings(&self.state.catalog.storage_standings().await?);
        }
        Ok(())
    }
}

async fn measure_some(state: &EngineState, settings: &StorageConfig, cluster: ClusterId) {
    let due = match state.catalog.storage_claim(cluster, settings.interval(), settings.rate_max).await {
        Ok(due) => due,
        Err(error) => {
            tracing::debug!(%error, "the catalog could not be asked for databases to measure");
            return;
        }
    };
    if due.is_empty() {
        return;
    }
    let measuring = measure(state, cluster, &due);
    let measured = tokio::time::timeout(ROUND_MAX, measuring).await.unwrap_or(Err(NotMeasured::TooLong));
    match measured {
        Ok(measured) => {
            state.metrics.storage_measured(Outcome::Done, measured);
            state.metrics.storage_measured(Outcome::Failed, due.len().saturating_sub(measured));
        }
        Err(error) => {
            state.metrics.storage_measured(Outcome::Failed, due.len());
            tracing::warn!(cluster.id = %cluster, %error, "databases could not be measured");
        }
    }
}

/// Says how many could be measured: one that is being dropped cannot.
async fn measure(state: &EngineState, cluster: ClusterId, due: &[DueDatabase]) -> Result<usize, NotMeasured> {
    let admin = state.catalog.cluster_admin(cluster).await?.ok_or(NotMeasured::NoCluster)?;
    let endpoint = Endpoint::from(admin);
    let session = state.clusters.enter(&endpoint, &endpoint.database).await?;
    let oids: Vec<u32> = due.iter().map(|due| due.oid).collect();
    let sizes: HashMap<u32, u64> = size::of_databases(&session, &oids).await?.into_iter().collect();
    let measured: Vec<Measurement> = due
        .iter()
        .filter_map(|due| Some(Measurement { tenant: due.tenant, bytes: *sizes.get(&due.oid)? }))
        .collect();
    let context = Context { actor: "control-plane".to_owned(), request_id: "storage".to_owned() };
    let mut tx = state.catalog.begin(&context).await?;
    let changes = tx.storage_measured(&measured).await?;
    tx.commit().await?;
    for change in changes {
        let (tenant, bytes) = (change.tenant, change.bytes);
        match change.after {
            StorageStanding::Within => {
                tracing::info!(tenant.id = %tenant, bytes, "the tenant is within its storage quota again");
            }
            standing => {
                tracing::warn!(tenant.id = %tenant, bytes, %standing, "the tenant has reached a storage quota");
            }
        }
    }
    Ok(measured.len())
}

#[cfg(test)]
mod tests;

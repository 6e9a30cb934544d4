//! Puts what plans say of sessions on tenants' login roles, soon after a plan or a tenant's own limits have changed.
//! Must never touch a role of a tenant that is not served.

use super::access_roles::{NotInOrder, enter};
use super::by_cluster::ByCluster;
use crate::access_roles;
use crate::context::EngineState;
use crate::metrics::Outcome;
use catalog_schema::{CatalogError, Context, Page};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenancy::{ClusterId, Revision, TenantId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often to ask whether anything has changed at all.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The least time between two passes. Each looks at every tenant, and of many there is always one that has changed.
const PASS_GAP: Duration = Duration::from_secs(5);

/// How long to go by the last pass when nothing has changed, and to leave a tenant alone with which it failed.
const PASS_INTERVAL: Duration = Duration::from_secs(15);

/// Tenants that are asked for in one go.
const PAGE: u32 = 500;

/// Runs until `shutdown`.
pub(crate) async fn run(state: EngineState, shutdown: CancellationToken) {
    let mut passes = Passes::new(state);
    loop {
        tokio::select! {
            () = passes.look() => {}
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Passes over all tenants. A cluster whose tenants of an earlier one have not had their turn yet is left out.
struct Passes {
    state: EngineState,
    clusters: ByCluster,
    failed: Arc<Failed>,
    /// When the last was, and of what.
    last: Option<(Revision, Instant)>,
}

impl Passes {
    fn new(state: EngineState) -> Self {
        Self { state, clusters: ByCluster::default(), failed: Arc::default(), last: None }
    }

    /// A pass, if something has changed since the last or it was long ago.
    async fn look(&mut self) {
        let now = Instant::now();
        if self.last.is_some_and(|(_, at)| now < at + PASS_GAP) {
            return;
        }
        let revision = match self.state.catalog.current_revision().await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::debug!(%error, "the catalog could not be asked for changes of plans");
                return;
            }
        };
        if self.last.is_some_and(|(seen, at)| seen == revision && now < at + PASS_INTERVAL) {
            return;
        }
        self.last = Some((revision, now));
        if let Err(error) = self.pass().await {
            tracing::debug!(%error, "the catalog could not be asked for roles' settings");
        }
    }

    /// Begins to put in order what is not.
    async fn pass(&mut self) -> Result<(), CatalogError> {
        self.clusters.forget_idle();
        self.failed.forget(Instant::now());
        for cluster in self.state.catalog.role_settings_behind().await? {
            let (state, failed) = (self.state.clone(), Arc::clone(&self.failed));
            self.clusters.begin(cluster, async move {
                if let Err(error) = put_in_order(&state, cluster, &failed).await {
                    tracing::debug!(%error, "the catalog could not be asked for roles' settings");
                }
            });
        }
        Ok(())
    }
}

/// Tenants whose roles could not be given what they should have, and since when. No more than are behind.
#[derive(Default)]
struct Failed(Mutex<HashMap<TenantId, Instant>>);

impl Failed {
    fn add(&self, tenant: TenantId, now: Instant) {
        self.tenants().insert(tenant, now);
    }

    fn forget(&self, now: Instant) {
        self.tenants().retain(|_, since| now < *since + PASS_INTERVAL);
    }

    fn has(&self, tenant: TenantId) -> bool {
        self.tenants().contains_key(&tenant)
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each tenant of a cluster its turn. One that is away is asked once, not for each of them.
async fn put_in_order(state: &EngineState, cluster: ClusterId, failed: &Failed) -> Result<(), CatalogError> {
    let mut page = Page::first(PAGE);
    loop {
        let behind = state.catalog.role_settings_behind_on(cluster, &page).await?;
        let Some(last) = behind.last() else { return Ok(()) };
        page = Page::after(*last, PAGE);
        for tenant in behind {
            if failed.has(tenant) {
                continue;
            }
            match apply(state, tenant).await {
                Ok(()) => {
                    state.metrics.role_settings(Outcome::Done);
                    tracing::info!(tenant.id = %tenant, "the tenant's login roles have its plan's settings");
                }
                Err(error) => {
                    state.metrics.role_settings(Outcome::Failed);
                    tracing::warn!(tenant.id = %tenant, %error, "the tenant's login roles have not its plan's settings yet");
                    if error.is_the_clusters() {
                        return Ok(());
                    }
                    failed.add(tenant, Instant::now());
                }
            }
        }
    }
}

/// The cluster's lock is held until what was put on the roles is on record.
async fn apply(state: &EngineState, tenant: TenantId) -> Result<(), NotInOrder> {
    let Some((_, ddl, placement)) = enter(state, tenant).await? else { return Ok(()) };
    let before = state.catalog.role_settings_applied(tenant).await?;
    let wanted = state.catalog.role_settings_wanted(tenant).await?;
    if before != wanted {
        access_roles::set_settings(&ddl, &placement, &before, &wanted).await?;
        let context = Context { actor: "control-plane".to_owned(), request_id: "role-settings".to_owned() };
        let mut tx = state.catalog.begin(&context).await?;
        tx.role_settings_set(tenant, &wanted, "plan").await?;
        tx.commit().await?;
    }
    ddl.release().await;
    Ok(())
}

#[cfg(test)]
mod tests;

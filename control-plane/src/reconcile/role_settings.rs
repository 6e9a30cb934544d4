//! Puts what plans say of sessions on tenants' login roles, soon after a plan or a tenant's own limits have changed.
//! Must never touch a role of a tenant that is not served.

use super::access_roles::{NotInOrder, enter};
use crate::access_roles;
use crate::context::EngineState;
use crate::metrics::Outcome;
use catalog_schema::{CatalogError, Context, Page};
use std::collections::HashSet;
use std::time::Duration;
use tenancy::{Revision, TenantId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often to ask whether anything has changed at all.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long to go by that answer: what failed is tried again by then.
const PASS_INTERVAL: Duration = Duration::from_secs(15);

/// Tenants that are asked for in one go.
const PAGE: u32 = 500;

/// Runs until `shutdown`.
pub(crate) async fn run(state: EngineState, shutdown: CancellationToken) {
    let mut last: Option<(Revision, Instant)> = None;
    loop {
        tokio::select! {
            seen = look(&state, last) => last = seen,
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// A pass, if something has changed since the last or it was long ago. Returns when the last was, and of what.
async fn look(state: &EngineState, last: Option<(Revision, Instant)>) -> Option<(Revision, Instant)> {
    let now = Instant::now();
    let revision = match state.catalog.current_revision().await {
        Ok(revision) => revision,
        Err(error) => {
            tracing::debug!(%error, "the catalog could not be asked for changes of plans");
            return last;
        }
    };
    if last.is_some_and(|(seen, at)| seen == revision && now < at + PASS_INTERVAL) {
        return last;
    }
    if let Err(error) = pass(state).await {
        tracing::debug!(%error, "the catalog could not be asked for roles' settings");
    }
    Some((revision, now))
}

/// Looks at every tenant once. A cluster that is away is asked once, not for each of its tenants.
async fn pass(state: &EngineState) -> Result<(), CatalogError> {
    let (mut page, mut away) = (Page::first(PAGE), HashSet::new());
    loop {
        let behind = state.catalog.role_settings_behind(&page).await?;
        let Some((last, _)) = behind.last() else { return Ok(()) };
        page = Page::after(*last, PAGE);
        for (tenant, cluster) in behind {
            if away.contains(&cluster) {
                continue;
            }
            match apply(state, tenant).await {
                Ok(()) => {
                    state.metrics.role_settings(Outcome::Done);
                    tracing::info!(tenant.id = %tenant, "the tenant's login roles have its plan's settings");
                }
                Err(error) => {
                    if error.is_the_clusters() {
                        away.insert(cluster);
                    }
                    state.metrics.role_settings(Outcome::Failed);
                    tracing::warn!(tenant.id = %tenant, %error, "the tenant's login roles have not its plan's settings yet");
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

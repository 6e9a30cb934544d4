//! Gives active tenants of an older release the login roles beside the owner's, and takes back the
//! passwords and settings that these have given themselves. Until then whoever needs such a role is refused.

mod drifters;

use crate::access_roles::{self, NotReserved};
use crate::context::EngineState;
use crate::postgres::drift::{self, Expected, ExpectedOwner};
use crate::postgres::{ClusterDdl, Endpoint, PostgresError, database, role};
use crate::secrets;
use catalog_schema::{AccessRole, CatalogError, Context, Page, PlacedRole, PlacementDetail, RoleSettings};
use drifters::Drifters;
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};
use tenancy::{Access, ClusterId, TenantId, TenantState};
use tokio_util::sync::CancellationToken;

/// How often to look. A role that has locked itself out for the first time is let in again within this and the time of
/// the look.
const INTERVAL: Duration = Duration::from_secs(15);

/// Tenants, or clusters, that are looked at in one go.
const PAGE: u32 = 500;

/// Why a tenant's roles are not as they should be yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotInOrder {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Cluster(#[from] PostgresError),
    #[error(transparent)]
    NotReserved(#[from] NotReserved),
    #[error("the cluster is not on record")]
    NoCluster,
    #[error("the tenant's database is not there")]
    NoDatabase,
}

impl NotInOrder {
    /// Would the cluster's other tenants fare the same? What a tenant has done to its own database is not meant.
    pub(super) const fn is_the_clusters(&self) -> bool {
        use PostgresError::{Busy, Lost, Standby, TimedOut, Unreachable};
        matches!(
            self,
            Self::Cluster(Unreachable { .. } | Lost { .. } | TimedOut { .. } | Busy { .. } | Standby { .. })
        )
    }
}

/// Runs until `shutdown`.
pub(crate) async fn run(state: EngineState, shutdown: CancellationToken) {
    let mut drifters = Drifters::default();
    loop {
        tokio::select! {
            () = pass(&state, &mut drifters) => {}
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Looks at every tenant once. What fails is tried again by the next pass.
async fn pass(state: &EngineState, drifters: &mut Drifters) {
    if let Err(error) = make_missing(state).await {
        tracing::debug!(%error, "the catalog could not be asked for tenants that lack roles");
    }
    drifters.forget(Instant::now());
    if let Err(error) = put_drifted_in_order(state, drifters).await {
        tracing::debug!(%error, "the catalog could not be asked for tenants' roles");
    }
}

/// A cluster that is away is asked once, not for each of its tenants.
async fn make_missing(state: &EngineState) -> Result<(), CatalogError> {
    let (mut page, mut away) = (Page::first(PAGE), HashSet::new());
    loop {
        let lacking = state.catalog.placements_lacking_roles(&page).await?;
        let Some((last, _)) = lacking.last() else { return Ok(()) };
        page = Page::after(*last, PAGE);
        for (tenant, cluster) in lacking {
            if away.contains(&cluster) {
                continue;
            }
            match make(state, tenant).await {
                Ok(()) => tracing::info!(tenant.id = %tenant, "the tenant has a login role for each access"),
                Err(error) => {
                    if error.is_the_clusters() {
                        away.insert(cluster);
                    }
                    tracing::warn!(tenant.id = %tenant, %error, "the tenant lacks login roles, only its owners and admins are served");
                }
            }
        }
    }
}

/// The cluster's lock is held from the look until gateways are told: what is reserved is made with the same keys, and
/// nobody suspends or purges the tenant meanwhile.
async fn make(state: &EngineState, tenant: TenantId) -> Result<(), NotInOrder> {
    let Some((endpoint, ddl, placement)) = enter(state, tenant).await? else { return Ok(()) };
    let mut tx = state.catalog.begin(&context()).await?;
    access_roles::reserve(&mut tx, &placement).await?;
    tx.commit().await?;

    let Some(placement) = state.catalog.placement_get(tenant).await? else { return Ok(()) };
    let settings = state.catalog.role_settings_applied(tenant).await?;
    let made = access_roles::make(&ddl, &placement, &settings).await?;
    let mut tx = state.catalog.begin(&context()).await?;
    for (access, oid) in made {
        tx.access_role_created(tenant, access, oid).await?;
    }
    tx.commit().await?;

    let inside = state.clusters.enter(&endpoint, placement.database.as_str()).await?;
    access_roles::grant(&inside, &placement).await?;
    access_roles::allow_identity_check(&inside, &placement).await?;
    access_roles::check(&endpoint, &placement).await?;
    let mut tx = state.catalog.begin(&context()).await?;
    tx.access_roles_ready(tenant).await?;
    tx.commit().await?;
    ddl.release().await;
    Ok(())
}

async fn put_drifted_in_order(state: &EngineState, drifters: &mut Drifters) -> Result<(), CatalogError> {
    let mut page = Page::first(PAGE);
    loop {
        let clusters = state.catalog.clusters(&page).await?;
        let Some(last) = clusters.last() else { return Ok(()) };
        page = Page::after(last.cluster.id, PAGE);
        for cluster in &clusters {
            if let Err(error) = look_at_cluster(state, cluster.cluster.id, drifters).await {
                tracing::debug!(cluster = %cluster.cluster.name, %error, "the cluster's roles could not be looked at");
            }
        }
    }
}

async fn look_at_cluster(
    state: &EngineState,
    cluster: ClusterId,
    drifters: &mut Drifters,
) -> Result<(), NotInOrder> {
    let mut page = Page::first(PAGE);
    loop {
        let roles = state.catalog.access_roles_on(cluster, &page).await?;
        let Some(last) = roles.last() else { return Ok(()) };
        page = Page::after(last.tenant, PAGE);
        for tenant in drifted(state, cluster, &roles).await? {
            if !drifters.take_turn(tenant, Instant::now()) {
                continue;
            }
            match put_in_order(state, tenant).await {
                Ok(false) => {}
                Ok(true) => {
                    state.metrics.roles_put_in_order();
                    tracing::warn!(
                        tenant.id = %tenant,
                        "a login role of the tenant had changed its own password or settings; they are taken back"
                    );
                }
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %error, "a login role of the tenant could not be put in order");
                }
            }
        }
    }
}

/// Looks without the cluster's lock: provisioning waits for nobody who has nothing to do.
async fn drifted(
    state: &EngineState,
    cluster: ClusterId,
    roles: &[PlacedRole],
) -> Result<BTreeSet<TenantId>, NotInOrder> {
    let admin = state.catalog.cluster_admin(cluster).await?.ok_or(NotInOrder::NoCluster)?;
    let endpoint = Endpoint::from(admin);
    let session = state.clusters.enter(&endpoint, &endpoint.database).await?;
    let expected: Vec<Expected<'_>> =
        roles.iter().map(|placed| expected(&placed.role, placed.settings)).collect();
    let owners: Vec<ExpectedOwner<'_>> = roles
        .iter()
        .filter(|placed| placed.role.access == Access::Write)
        .map(|placed| ExpectedOwner { role: &placed.owner, settings: placed.settings })
        .collect();
    let mut found: HashSet<String> = drift::find(&session, &expected).await?.into_iter().collect();
    found.extend(drift::find_owners(&session, &owners).await?);
    let is_found = |placed: &&PlacedRole| {
        found.contains(placed.role.login.role.as_str()) || found.contains(placed.owner.as_str())
    };
    Ok(roles.iter().filter(is_found).map(|placed| placed.tenant).collect())
}

fn expected(role: &AccessRole, settings: RoleSettings) -> Expected<'_> {
    Expected { role: &role.login.role, verifier: secrets::role_verifier(&role.login.keys), settings }
}

/// Looks again under the cluster's lock: what is on record may have changed since the look. Says whether there was
/// something to do.
async fn put_in_order(state: &EngineState, tenant: TenantId) -> Result<bool, NotInOrder> {
    let Some((_, ddl, placement)) = enter(state, tenant).await? else { return Ok(false) };
    let settings = state.catalog.role_settings_applied(tenant).await?;
    let all: Vec<Expected<'_>> = placement.access_roles.iter().map(|role| expected(role, settings)).collect();
    let owner = [ExpectedOwner { role: &placement.role, settings }];
    let is_drifted = !drift::find(&ddl, &all).await?.is_empty();
    let is_drifted = is_drifted || !drift::find_owners(&ddl, &owner).await?.is_empty();
    if is_drifted {
        access_roles::put_in_order(&ddl, &placement, &settings).await?;
        role::set_settings(&ddl, &placement.role, &settings, &settings).await?;
        // Sessions that have begun with something else are not to be used again.
        let mut tx = state.catalog.begin(&context()).await?;
        tx.role_settings_set(tenant, &settings, "drifted").await?;
        tx.commit().await?;
    }
    ddl.release().await;
    Ok(is_drifted)
}

/// The cluster's lock, and the tenant's place as it is under it. `None` for a tenant that is not served, whose roles are
/// to stay shut.
pub(super) async fn enter(
    state: &EngineState,
    tenant: TenantId,
) -> Result<Option<(Endpoint, ClusterDdl, PlacementDetail)>, NotInOrder> {
    let Some(placement) = state.catalog.placement_get(tenant).await? else { return Ok(None) };
    let admin = state.catalog.cluster_admin(placement.cluster).await?.ok_or(NotInOrder::NoCluster)?;
    let endpoint = Endpoint::from(admin);
    let ddl = state.clusters.lock(&endpoint).await?;
    let record = state.catalog.tenant_get(tenant).await?;
    let placement = state.catalog.placement_get(tenant).await?;
    let is_active = record.is_some_and(|record| record.state == TenantState::Active);
    let Some(placement) = placement.filter(|placement| is_active && placement.cluster == endpoint.cluster)
    else {
        ddl.release().await;
        return Ok(None);
    };
    let owned =
        database::Owned { database: &placement.database, role: &placement.role, tenant: placement.tenant };
    let found = database::find(&ddl, &owned).await?;
    if found.is_none() || found != placement.database_oid {
        ddl.release().await;
        return Err(NotInOrder::NoDatabase);
    }
    Ok(Some((endpoint, ddl, placement)))
}

fn context() -> Context {
    Context { actor: "control-plane".to_owned(), request_id: "access-roles".to_owned() }
}

/// The first look of a control plane that has just started.
#[cfg(test)]
pub(super) async fn look_once(state: &EngineState) {
    pass(state, &mut Drifters::default()).await;
}

#[cfg(test)]
mod tests;

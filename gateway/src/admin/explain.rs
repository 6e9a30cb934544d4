//! Where a tenant's connections go and why, for operators. Without secrets: of a credential only that
//! it exists.

use crate::error::Refusal;
use crate::metrics::collector::readings::OpenPools;
use crate::pool::{Pool, Registry};
use crate::shared::Shared;
use catalog_schema::{CredentialKind, CredentialRecord, PlacementRecord};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tenancy::{
    ClusterId, ClusterName, ClusterState, DatabaseName, Generation, Isolation, Limits, RegionName, RoleName,
    Slug, TenantId, TenantState,
};

/// A route as this gateway has it in force.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    tenant_id: TenantId,
    slug: Slug,
    aliases: Vec<Slug>,
    state: TenantState,
    isolation: Isolation,
    generation: Generation,
    region: RegionName,
    allowed_regions: Vec<RegionName>,
    limits: Limits,
    clients: u32,
    credentials: Credentials,
    /// `None` before the tenant has a database.
    placement: Option<Placement>,
    /// Of all its roles together. `None` before its first check-out, and again after a long silence.
    pool: Option<PoolCounts>,
}

#[derive(Debug, Default, Serialize)]
struct Credentials {
    passwords: usize,
    api_keys: usize,
}

#[derive(Debug, Serialize)]
struct Placement {
    cluster: Cluster,
    database: DatabaseName,
    role: RoleName,
}

#[derive(Debug, Serialize)]
struct Cluster {
    id: ClusterId,
    name: ClusterName,
    region: RegionName,
    state: ClusterState,
    host: String,
    port: u16,
    connection_budget: u32,
    /// Of this gateway, for all tenants.
    connections: u32,
    waiting_checkouts: u32,
}

#[derive(Debug, Serialize)]
struct PoolCounts {
    active: u32,
    idle: u32,
    opening: u32,
    waiting_clients: u32,
}

/// Explains the route, which is loaded if it is not cached. `None`: no such tenant.
///
/// # Errors
/// It is not cached and the catalog cannot be asked.
pub(crate) async fn explain(shared: &Shared, slug: &Slug) -> Result<Option<Explanation>, Refusal> {
    let Some(tenant) = shared.routes.by_slug(slug).await? else {
        return Ok(None);
    };
    let route = tenant.route();
    Ok(Some(Explanation {
        tenant_id: route.tenant_id,
        slug: route.slug.clone(),
        aliases: route.aliases.clone(),
        state: route.state,
        isolation: route.isolation,
        generation: route.generation,
        region: route.region.clone(),
        allowed_regions: route.allowed_regions.clone(),
        limits: route.limits,
        clients: tenant.clients().load(Ordering::Acquire),
        credentials: count_credentials(&route.credentials),
        placement: route.placement.as_ref().map(|placement| explain_placement(placement, &shared.pools)),
        pool: count_pools(OpenPools::read(&shared.pools).of(route.tenant_id)),
    }))
}

fn count_credentials(credentials: &[CredentialRecord]) -> Credentials {
    let mut counts = Credentials::default();
    for credential in credentials {
        match credential.kind {
            CredentialKind::Password { .. } => counts.passwords += 1,
            CredentialKind::ApiKey { .. } => counts.api_keys += 1,
        }
    }
    counts
}

fn explain_placement(placement: &PlacementRecord, pools: &Registry) -> Placement {
    let record = &placement.cluster;
    let used = pools.clusters().into_iter().find(|cluster| cluster.id() == record.id);
    let holdings = used.as_ref().map(|cluster| cluster.holdings()).unwrap_or_default();
    Placement {
        cluster: Cluster {
            id: record.id,
            name: record.name.clone(),
            region: record.region.clone(),
            state: record.state,
            host: record.host.clone(),
            port: record.port,
            connection_budget: record.connection_budget,
            connections: holdings.held,
            waiting_checkouts: holdings.wanted,
        },
        database: placement.database.clone(),
        role: placement.logins.owner.role.clone(),
    }
}

fn count_pools(pools: &[Arc<Pool>]) -> Option<PoolCounts> {
    let sum = |of: fn(&Pool) -> u32| pools.iter().map(|pool| of(pool)).sum();
    (!pools.is_empty()).then(|| PoolCounts {
        active: sum(Pool::leased),
        idle: sum(Pool::idle),
        opening: sum(Pool::opening),
        waiting_clients: sum(Pool::waiting_in_all),
    })
}

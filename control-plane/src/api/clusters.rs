//! Clusters: the PostgreSQL servers that tenants are placed on.

mod inspect;
mod register;
mod tls;
mod update;

pub(super) use register::{__path_cluster_register, cluster_register};
pub(super) use update::{__path_cluster_update, cluster_update};

use super::document::Problems;
use super::extract::{Named, Params};
use super::mutation::shown;
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::shares::Share;
use super::words;
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;
use catalog_schema::ClusterDetail;
use jiff::Timestamp;
use serde::Serialize;
use tenancy::ClusterId;
use utoipa::ToSchema;
use uuid::Uuid;

/// A cluster. Nothing of its admin DSN but the user is ever shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cluster {
    /// Its id.
    id: Uuid,
    /// What people call it.
    #[schema(example = "eu-1")]
    name: String,
    /// Where it stands.
    region: String,
    /// Whether it is served and takes new tenants.
    #[schema(schema_with = words::cluster_state)]
    state: &'static str,
    /// Host name or address, as gateways reach it.
    host: String,
    /// TCP port.
    port: u16,
    /// What connections to it demand of TLS.
    #[schema(schema_with = words::tls_mode)]
    tls_mode: &'static str,
    /// The authorities' certificates, in PEM; none stands for those that the system trusts.
    tls_ca: Option<String>,
    /// The name that the server's certificate is for; none stands for its host.
    tls_server_name: Option<String>,
    /// The user that the control plane logs in as.
    admin_user: String,
    /// The database that the control plane logs in to.
    admin_database: String,
    /// What the server calls itself; no other server has the same.
    system_identifier: String,
    /// The server's version, as `server_version_num` has it.
    #[schema(example = 150_018)]
    server_version_num: u32,
    /// Server connections that gateways may hold to it together.
    connection_budget: u32,
    /// Tenants that may be placed on it.
    capacity: u32,
    /// Tenants that are placed on it.
    tenant_count: u32,
    /// Rises with every change; also the `ETag`.
    version: i64,
    /// When it was registered.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

impl From<ClusterDetail> for Cluster {
    fn from(detail: ClusterDetail) -> Self {
        let cluster = detail.cluster;
        Self {
            id: cluster.id.as_uuid(),
            name: cluster.name.into(),
            region: cluster.region.into(),
            state: cluster.state.as_str(),
            host: cluster.host,
            port: cluster.port,
            tls_mode: cluster.tls.mode.as_str(),
            tls_ca: cluster.tls.ca,
            tls_server_name: cluster.tls.server_name,
            admin_user: detail.admin_user,
            admin_database: detail.admin_database,
            system_identifier: cluster.system_identifier,
            server_version_num: detail.server_version_num,
            connection_budget: cluster.connection_budget,
            capacity: detail.capacity,
            tenant_count: detail.placed,
            version: cluster.version,
            created_at: detail.created_at,
            updated_at: detail.updated_at,
        }
    }
}

/// List the clusters.
#[utoipa::path(
    get, path = "/v1/clusters", tag = "clusters", params(PageQuery),
    responses((status = 200, description = "Clusters, by age", body = Page<Cluster>), Problems)
)]
pub(super) async fn cluster_list(
    State(state): State<ApiState>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let clusters = state.catalog.clusters(&query.page()?).await?;
    shown(&Page::cut(clusters, limit, |detail| detail.cluster.id.as_uuid(), Cluster::from))
}

/// A cluster, and how its budget is shared.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharedCluster {
    /// The cluster.
    #[serde(flatten)]
    cluster: Cluster,
    /// What each gateway may hold of its connection budget, by gateway. A gateway that was not heard from keeps its
    /// floor for an hour.
    shares: Vec<Share>,
}

/// Show a cluster, and how the gateways share its connection budget.
#[utoipa::path(
    get, path = "/v1/clusters/{cluster}", tag = "clusters",
    params(("cluster" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The cluster", body = SharedCluster), Problems)
)]
pub(super) async fn cluster_get(
    State(state): State<ApiState>,
    Named(cluster): Named<String>,
) -> ApiResult<Response> {
    let detail = find(&state, &cluster).await?;
    let leases = state.catalog.budget_leases(Some(detail.cluster.id)).await?;
    let shares = leases.into_iter().map(Share::from).collect();
    shown(&SharedCluster { cluster: Cluster::from(detail), shares })
}

/// Finds a cluster by its id or name.
async fn find(state: &ApiState, text: &str) -> ApiResult<ClusterDetail> {
    let found = match (text.parse::<ClusterId>(), text.parse()) {
        (Ok(id), _) => state.catalog.cluster_get(id).await?,
        (Err(_), Ok(name)) => state.catalog.cluster_by_name(&name).await?,
        (Err(_), Err(_)) => None,
    };
    found.ok_or_else(|| Problem::from(ProblemKind::ClusterNotFound))
}

/// A number of tenants or connections that a cluster may have.
fn check_count(field: &str, count: u32) -> ApiResult<()> {
    if (1..=COUNT_MAX).contains(&count) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::InvalidField).detail(format!("{field} is 1 to {COUNT_MAX}")).field(field))
}

/// Far above what a server bears (1,000 databases are a lot), far below where sums overflow.
const COUNT_MAX: u32 = 1_000_000;

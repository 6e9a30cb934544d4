//! Changing a cluster: its state, its limits, or the way to it.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, field};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::super::words;
use super::inspect;
use super::tls::{self, Wanted};
use super::{Cluster, check_count, find};
use crate::context::ApiState;
use crate::postgres::dsn::AdminDsn;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{ClusterDetail, ClusterPatch};
use serde::Deserialize;
use tenancy::Secret;
use utoipa::ToSchema;

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ClusterUpdate {
    /// Whether it is served and takes new tenants.
    #[schema(schema_with = words::cluster_state)]
    state: Option<String>,
    /// Another way to the same server, or another password. Stored sealed, never shown.
    #[schema(format = Password)]
    admin_dsn: Option<String>,
    /// What connections to it demand of TLS.
    #[schema(schema_with = words::tls_mode)]
    tls_mode: Option<String>,
    /// The authorities' certificates, in PEM; empty for those that the system trusts.
    tls_ca: Option<String>,
    /// The name that the server's certificate is for; empty for its host.
    tls_server_name: Option<String>,
    /// Server connections that gateways may hold to it together.
    #[schema(minimum = 1)]
    connection_budget: Option<u32>,
    /// Tenants that may be placed on it. Fewer than there are moves nobody away.
    #[schema(minimum = 1)]
    capacity: Option<u32>,
}

/// Change a cluster.
#[utoipa::path(
    patch, path = "/v1/clusters/{cluster}", tag = "clusters", request_body = ClusterUpdate,
    params(("cluster" = String, Path, description = "Its id or name"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = Cluster), Problems)
)]
pub(in super::super) async fn cluster_update(
    State(state): State<ApiState>,
    Named(cluster): Named<String>,
    caller: Caller,
    body: Body<ClusterUpdate>,
) -> ApiResult<Response> {
    let Body { value, bytes } = body;
    let known = find(&state, &cluster).await?;
    if let Some(answer) = Mutation::answered(&state, &caller, &bytes).await? {
        return Ok(answer);
    }
    let patch = patch(&state, value, &known).await?;
    let mut change = match Mutation::begin(&state, &caller, &bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let changed = change.tx.cluster_update(known.cluster.id, caller.expected_version, &patch).await?;
    change.finish(StatusCode::OK, &Cluster::from(changed)).await
}

async fn patch(api: &ApiState, value: ClusterUpdate, known: &ClusterDetail) -> ApiResult<ClusterPatch> {
    let ClusterUpdate { state, admin_dsn, connection_budget, capacity, .. } = value;
    let wanted = Wanted { mode: value.tls_mode, ca: value.tls_ca, server_name: value.tls_server_name };
    let tls = tls::checked(wanted)?;
    let state = state.map(|word| field("state", &word)).transpose()?;
    connection_budget.map_or(Ok(()), |budget| check_count("connection_budget", budget))?;
    capacity.map_or(Ok(()), |capacity| check_count("capacity", capacity))?;
    let patch = ClusterPatch {
        state,
        connection_budget,
        capacity,
        tls_mode: tls.mode,
        tls_ca: tls.ca,
        tls_server_name: tls.server_name,
        ..ClusterPatch::default()
    };
    match admin_dsn {
        Some(dsn) => with_new_way(patch, &Secret::new(dsn), known).await,
        None => {
            let raised = connection_budget.filter(|budget| *budget > known.cluster.connection_budget);
            if let Some(budget) = raised {
                check_raised(api, budget, known).await?;
            }
            Ok(patch)
        }
    }
}

/// A lower budget always fits; a higher one takes a look at the server, the way that is on record.
async fn check_raised(api: &ApiState, budget: u32, known: &ClusterDetail) -> ApiResult<()> {
    let admin = api.catalog.cluster_admin(known.cluster.id).await?.ok_or(ProblemKind::ClusterNotFound)?;
    let dsn = AdminDsn {
        host: admin.cluster.host,
        port: admin.cluster.port,
        user: admin.user,
        password: admin.password,
        database: admin.database,
    };
    let inspected = inspect::inspect(dsn, &admin.cluster.tls).await?;
    if inspected.probe.system_identifier != known.cluster.system_identifier {
        let detail = "another server answers at the cluster's address, by its system identifier";
        return Err(Problem::new(ProblemKind::ClusterUnreachable).detail(detail).field("connection_budget"));
    }
    inspect::check_budget(budget, &inspected.probe)
}

/// The address and the admin may change, the server may not: its tenants' databases are on it.
async fn with_new_way(patch: ClusterPatch, dsn: &Secret, known: &ClusterDetail) -> ApiResult<ClusterPatch> {
    let dsn = inspect::parse(dsn)?;
    let refused =
        |detail: &str| Problem::new(ProblemKind::ClusterDsnInvalid).detail(detail).field("admin_dsn");
    if dsn.database != known.admin_database {
        return Err(refused("the admin database of a cluster does not change"));
    }
    let inspected = inspect::inspect(dsn, &tls::after(&known.cluster.tls, &patch)).await?;
    if inspected.probe.system_identifier != known.cluster.system_identifier {
        return Err(refused("it leads to another server, by its system identifier"));
    }
    let budget = patch.connection_budget.unwrap_or(known.cluster.connection_budget);
    inspect::check_budget(budget, &inspected.probe)?;
    Ok(ClusterPatch {
        host: Some(inspected.dsn.host),
        port: Some(inspected.dsn.port),
        admin_user: Some(inspected.dsn.user),
        admin_password: Some(inspected.dsn.password),
        server_version_num: Some(inspected.probe.version_num.unsigned_abs()),
        ..patch
    })
}

//! Registering a server as a cluster.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, field};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, ProblemKind};
use super::super::words;
use super::inspect::{self, Inspected};
use super::tls::{self, Wanted};
use super::{Cluster, check_count};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::NewCluster;
use serde::Deserialize;
use tenancy::{ClusterId, ClusterName, RegionName, Secret};
use utoipa::ToSchema;

/// Server connections of all gateways together, if the operator does not say: PostgreSQL's default `max_connections` less a few for people.
const CONNECTION_BUDGET_DEFAULT: u32 = 90;

/// Tenants, if the operator does not say: beyond a thousand databases checkpoints and autovacuum suffer.
const CAPACITY_DEFAULT: u32 = 1_000;

/// A cluster to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ClusterRegister {
    /// What people call it: lower-case letters, digits and hyphens.
    #[schema(example = "eu-1")]
    name: String,
    /// The region that it stands in.
    #[schema(example = "eu")]
    region: String,
    /// How to log in as an admin who may create databases and roles. Stored sealed, never shown.
    #[schema(format = Password, example = "postgres://admin:…@db.example.com:5432/postgres")]
    admin_dsn: String,
    /// What connections to it demand of TLS; `verify-full` if left out.
    #[schema(schema_with = words::tls_mode)]
    tls_mode: Option<String>,
    /// The authorities' certificates, in PEM; those that the system trusts if left out.
    tls_ca: Option<String>,
    /// The name that the server's certificate is for; its host if left out.
    tls_server_name: Option<String>,
    /// Server connections that gateways may hold to it together; 90 if left out.
    #[schema(minimum = 1)]
    connection_budget: Option<u32>,
    /// Tenants that may be placed on it; 1000 if left out.
    #[schema(minimum = 1)]
    capacity: Option<u32>,
}

/// Register a server, after a look at its version, identity and the admin's privileges.
#[utoipa::path(
    post, path = "/v1/clusters", tag = "clusters", params(ChangeHeaders), request_body = ClusterRegister,
    responses((status = 201, description = "Registered", body = Cluster), Problems)
)]
pub(in super::super) async fn cluster_register(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<ClusterRegister>,
) -> ApiResult<Response> {
    let Body { value, bytes } = body;
    let name: ClusterName = field("name", &value.name)?;
    let region: RegionName = field("region", &value.region)?;
    let connection_budget = value.connection_budget.unwrap_or(CONNECTION_BUDGET_DEFAULT);
    let capacity = value.capacity.unwrap_or(CAPACITY_DEFAULT);
    check_count("connection_budget", connection_budget)?;
    check_count("capacity", capacity)?;
    let wanted = Wanted { mode: value.tls_mode, ca: value.tls_ca, server_name: value.tls_server_name };
    let tls = tls::chosen(wanted)?;
    let dsn = inspect::parse(&Secret::new(value.admin_dsn))?;

    if let Some(answer) = Mutation::answered(&state, &caller, &bytes).await? {
        return Ok(answer);
    }
    if state.catalog.region_get(&region).await?.is_none() {
        return Err(super::super::problem::Problem::new(ProblemKind::RegionUnknown).field("region"));
    }
    let Inspected { dsn, probe } = inspect::inspect(dsn, &tls).await?;
    inspect::check_budget(connection_budget, &probe)?;
    let mut change = match Mutation::begin(&state, &caller, &bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let new = NewCluster {
        id: ClusterId::generate(),
        name,
        region,
        host: dsn.host,
        port: dsn.port,
        admin_user: dsn.user,
        admin_database: dsn.database,
        admin_password: dsn.password,
        system_identifier: probe.system_identifier,
        server_version_num: probe.version_num.unsigned_abs(),
        connection_budget,
        capacity,
        tls,
    };
    let cluster = change.tx.cluster_create(&new).await?;
    change.finish(StatusCode::CREATED, &Cluster::from(cluster)).await
}

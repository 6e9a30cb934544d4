//! Gateways: who serves, and how far each has followed the catalog.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Named, Params};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::shares::Share;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{GATEWAY_LIVE_WITHIN, GatewayRecord, LeaseRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tenancy::GatewayId;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// One run of a gateway, as its last heartbeat showed it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gateway {
    /// Its id; a restart has another.
    id: Uuid,
    /// What its operator calls it.
    name: String,
    /// The number that cancel keys name it by.
    number: u16,
    /// Where it stands.
    region: String,
    /// Where other gateways reach it with the PostgreSQL protocol.
    #[schema(example = "10.0.0.7:6432")]
    address: String,
    /// Whether it gave a sign of life lately. One that did not is dead, or cut off from the catalog and serving by
    /// what it knows.
    live: bool,
    /// It serves nobody by a route older than this revision of the catalog.
    applied_revision: i64,
    /// When it started.
    started_at: Timestamp,
    /// When its last sign of life came.
    heartbeat_at: Timestamp,
    /// What it may hold of the clusters' connection budgets, by cluster.
    shares: Vec<Share>,
}

impl Gateway {
    fn new(record: GatewayRecord, leases: Vec<LeaseRecord>) -> Self {
        let GatewayRecord { gateway, number, started_at, heartbeat_at } = record;
        let age = Timestamp::now().duration_since(heartbeat_at);
        Self {
            id: gateway.id.as_uuid(),
            name: gateway.name,
            number,
            region: gateway.region.into(),
            address: gateway.address,
            live: age.is_negative() || age.unsigned_abs() < GATEWAY_LIVE_WITHIN,
            applied_revision: gateway.applied_revision.get(),
            started_at,
            heartbeat_at,
            shares: leases.into_iter().map(Share::from).collect(),
        }
    }
}

/// List the gateways; the dead too, for an hour.
#[utoipa::path(
    get, path = "/v1/gateways", tag = "gateways",
    responses((status = 200, description = "All gateways, by name", body = Page<Gateway>), Problems)
)]
pub(super) async fn gateway_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let gateways = state.catalog.gateways().await?;
    let mut leases: HashMap<GatewayId, Vec<LeaseRecord>> = HashMap::new();
    for lease in state.catalog.budget_leases(None).await? {
        leases.entry(lease.gateway).or_default().push(lease);
    }
    let with_shares = gateways.into_iter().map(|record| {
        let leases = leases.remove(&record.gateway.id).unwrap_or_default();
        Gateway::new(record, leases)
    });
    shown(&Page::whole(with_shares.collect()))
}

/// How sure whoever has a gateway forgotten is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ForgetQuery {
    /// Forget those too that gave a sign of life lately.
    #[serde(default)]
    #[param(default = false)]
    force: bool,
}

/// What became of the gateways of one name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgottenGateways {
    /// Forgotten.
    forgotten: Vec<Gateway>,
    /// Not forgotten, because they gave a sign of life lately.
    living: Vec<Gateway>,
}

/// Forget gateways that are gone for good. What was kept for them of the clusters' connection budgets is others' at once:
/// a gateway that is only cut off, and serves with its floor, may then make a server see more than its budget.
#[utoipa::path(
    delete, path = "/v1/gateways/{gateway}", tag = "gateways",
    params(("gateway" = String, Path, description = "Its id, or its name for all runs of it"), ForgetQuery, ChangeHeaders),
    responses((status = 200, description = "Forgotten", body = ForgottenGateways), Problems)
)]
pub(super) async fn gateway_forget(
    State(state): State<ApiState>,
    Named(gateway): Named<String>,
    Params(ForgetQuery { force }): Params<ForgetQuery>,
    caller: Caller,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let outcome = change.tx.gateways_forget(&gateway, force).await?;
    if let (true, Some(living)) = (outcome.gone.is_empty(), outcome.living.first()) {
        let detail = format!("its last sign of life came at {}", living.heartbeat_at);
        return Err(Problem::new(ProblemKind::GatewayLive).detail(detail));
    }
    let shown = |records: Vec<GatewayRecord>| {
        records.into_iter().map(|record| Gateway::new(record, Vec::new())).collect()
    };
    let body = ForgottenGateways { forgotten: shown(outcome.gone), living: shown(outcome.living) };
    change.finish(StatusCode::OK, &body).await
}

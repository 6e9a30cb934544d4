//! Plans: what tenants may, by what they bought.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{Entitlement, PlanRecord};
use serde::{Deserialize, Serialize};
use tenancy::{Limits, PlanName, WEIGHT_MAX};
use utoipa::ToSchema;

/// Far above what a server bears, far below where sums overflow.
const COUNT_MAX: u32 = 1_000_000;

/// An hour: nobody waits longer for a connection.
const CHECKOUT_TIMEOUT_MS_MAX: u32 = 3_600_000;

/// What a plan has where its maker says nothing: the limits of the plan `standard` of a new catalog.
const USUAL: Limits = Limits::STANDARD;

/// What a tenant may, at each gateway.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct LimitsShown {
    /// Server connections that it may use at once.
    pool_size: u32,
    /// Clients that it may have at once.
    client_limit: u32,
    /// Clients that may wait for a server connection.
    queue_limit: u32,
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    checkout_timeout_ms: u32,
    /// Server connections that others of its cluster take none of while it wants them.
    floor: u32,
    /// What is due to it beside others when there are not enough server connections for all.
    weight: u32,
}

impl From<Limits> for LimitsShown {
    fn from(limits: Limits) -> Self {
        let Limits { pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight, .. } = limits;
        Self { pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight }
    }
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BoughtPlan {
    /// Its name.
    #[schema(example = "standard")]
    name: String,
    #[serde(flatten)]
    limits: LimitsShown,
}

impl From<PlanRecord> for BoughtPlan {
    fn from(record: PlanRecord) -> Self {
        Self { name: record.name.into(), limits: record.limits.into() }
    }
}

/// A plan to add. What is left out is as in the plan `standard` of a new catalog.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanCreate {
    /// Its name: lower-case letters, digits and hyphens.
    #[schema(example = "premium")]
    name: String,
    /// Server connections that a tenant may use at once, at each gateway.
    #[schema(minimum = 1, default = 20)]
    pool_size: Option<u32>,
    /// Clients that a tenant may have at once, at each gateway.
    #[schema(minimum = 1, default = 500)]
    client_limit: Option<u32>,
    /// Clients that may wait for a server connection.
    #[schema(minimum = 1, default = 1_000)]
    queue_limit: Option<u32>,
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    #[schema(minimum = 1, default = 10_000)]
    checkout_timeout_ms: Option<u32>,
    /// Server connections that others of the cluster take none of while the tenant wants them; at most `pool_size`.
    #[schema(default = 0)]
    floor: Option<u32>,
    /// What is due to the tenant beside others when there are not enough server connections for all.
    #[schema(minimum = 1, maximum = 1_000, default = 100)]
    weight: Option<u32>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanUpdate {
    /// Server connections that a tenant may use at once, at each gateway.
    #[schema(minimum = 1)]
    pool_size: Option<u32>,
    /// Clients that a tenant may have at once, at each gateway.
    #[schema(minimum = 1)]
    client_limit: Option<u32>,
    /// Clients that may wait for a server connection.
    #[schema(minimum = 1)]
    queue_limit: Option<u32>,
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    #[schema(minimum = 1)]
    checkout_timeout_ms: Option<u32>,
    /// Server connections that others of the cluster take none of while the tenant wants them; at most `pool_size`.
    floor: Option<u32>,
    /// What is due to the tenant beside others when there are not enough server connections for all.
    #[schema(minimum = 1, maximum = 1_000)]
    weight: Option<u32>,
}

/// Add a plan.
#[utoipa::path(
    post, path = "/v1/plans", tag = "plans", params(ChangeHeaders), request_body = PlanCreate,
    responses((status = 201, description = "Added", body = BoughtPlan), Problems)
)]
pub(super) async fn plan_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<PlanCreate>,
) -> ApiResult<Response> {
    let PlanCreate { name, pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight } =
        body.value;
    let given = Entitlement {
        pool_size,
        client_limit,
        queue_limit,
        checkout_timeout_ms,
        floor,
        weight,
        ..Entitlement::default()
    };
    let plan = PlanRecord { name: field("name", &name)?, limits: given.over(USUAL) };
    check(&plan.limits)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    change.tx.plan_create(&plan).await?;
    change.finish(StatusCode::CREATED, &BoughtPlan::from(plan)).await
}

/// List the plans.
#[utoipa::path(
    get, path = "/v1/plans", tag = "plans",
    responses((status = 200, description = "All plans, by name", body = Page<BoughtPlan>), Problems)
)]
pub(super) async fn plan_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let plans = state.catalog.plans().await?;
    shown(&Page::whole(plans.into_iter().map(BoughtPlan::from).collect()))
}

/// Show a plan.
#[utoipa::path(
    get, path = "/v1/plans/{plan}", tag = "plans", params(("plan" = String, Path, description = "Its name")),
    responses((status = 200, description = "The plan", body = BoughtPlan), Problems)
)]
pub(super) async fn plan_get(
    State(state): State<ApiState>,
    Named(name): Named<String>,
) -> ApiResult<Response> {
    let plan = state.catalog.plan_get(&named(&name)?).await?.ok_or(ProblemKind::PlanNotFound)?;
    shown(&BoughtPlan::from(plan))
}

/// Change a plan's limits, at once and for all tenants that have it.
#[utoipa::path(
    patch, path = "/v1/plans/{plan}", tag = "plans", request_body = PlanUpdate,
    params(("plan" = String, Path, description = "Its name"), ChangeHeaders),
    responses((status = 200, description = "Changed", body = BoughtPlan), Problems)
)]
pub(super) async fn plan_update(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    caller: Caller,
    body: Body<PlanUpdate>,
) -> ApiResult<Response> {
    let name = named(&name)?;
    let PlanUpdate { pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight } = body.value;
    let given = Entitlement {
        pool_size,
        client_limit,
        queue_limit,
        checkout_timeout_ms,
        floor,
        weight,
        ..Entitlement::default()
    };
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let before = change.tx.plan_lock(&name).await?;
    let plan = PlanRecord { name, limits: given.over(before.limits) };
    check(&plan.limits)?;
    change.tx.plan_set(&plan).await?;
    change.finish(StatusCode::OK, &BoughtPlan::from(plan)).await
}

fn named(name: &str) -> ApiResult<PlanName> {
    name.parse().map_err(|_| ProblemKind::PlanNotFound.into())
}

/// Are these limits that a tenant can live with?
pub(super) fn check(limits: &Limits) -> ApiResult<()> {
    let ranges = [
        ("pool_size", limits.pool_size, 1, COUNT_MAX),
        ("client_limit", limits.client_limit, 1, COUNT_MAX),
        ("queue_limit", limits.queue_limit, 1, COUNT_MAX),
        ("checkout_timeout_ms", limits.checkout_timeout_ms, 1, CHECKOUT_TIMEOUT_MS_MAX),
        ("weight", limits.weight, 1, WEIGHT_MAX),
        ("floor", limits.floor, 0, limits.pool_size),
    ];
    let wrong = ranges.iter().find(|(_, value, least, most)| !(least..=most).contains(&value));
    wrong.map_or(Ok(()), |(name, _, least, most)| {
        let bound = if *name == "floor" { "the pool_size, ".to_owned() } else { String::new() };
        let detail = format!("{name} is {least} to {bound}{most}");
        Err(Problem::new(ProblemKind::InvalidField).detail(detail).field(*name))
    })
}

//! Plans: what tenants may, by what they bought.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::limit_fields::{LimitsShown, PlanCreate, PlanUpdate, check};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, ProblemKind};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::PlanRecord;
use serde::Serialize;
use tenancy::{Limits, PlanName};
use utoipa::ToSchema;

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
    let given = body.value.limits();
    let plan = PlanRecord { name: field("name", &body.value.name)?, limits: given.over(Limits::STANDARD) };
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
    let given = body.value.limits();
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

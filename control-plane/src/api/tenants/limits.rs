//! A tenant's limits: its plan's, and its own in their place.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named};
use super::super::mutation::{Begun, Mutation, shown};
use super::super::plans::{self, LimitsShown};
use super::super::problem::{ApiResult, ProblemKind};
use super::find;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{Entitlement, TenantRecord};
use serde::{Deserialize, Deserializer, Serialize};
use tenancy::Limits;
use utoipa::ToSchema;

/// What a tenant may.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantLimits {
    /// Its plan.
    #[schema(example = "standard")]
    plan: String,
    /// What is in force.
    limits: LimitsShown,
    /// What it has of its own in place of the plan's.
    own: OwnLimits,
    /// The tenant's version; also the `ETag`.
    version: i64,
}

/// A tenant's own limits; one that is null is the plan's.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct OwnLimits {
    pool_size: Option<u32>,
    client_limit: Option<u32>,
    queue_limit: Option<u32>,
    checkout_timeout_ms: Option<u32>,
    floor: Option<u32>,
    weight: Option<u32>,
}

impl From<Entitlement> for OwnLimits {
    fn from(own: Entitlement) -> Self {
        let Entitlement { pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight, .. } =
            own;
        Self { pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight }
    }
}

/// What is to change: a number, or null for the plan's; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct LimitsUpdate {
    /// Server connections that it may use at once, at each gateway.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pool_size: Option<Option<u32>>,
    /// Clients that it may have at once, at each gateway.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    client_limit: Option<Option<u32>>,
    /// Clients that may wait for a server connection.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    queue_limit: Option<Option<u32>>,
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    checkout_timeout_ms: Option<Option<u32>>,
    /// Server connections that others of its cluster take none of while it wants them; at most its `pool_size`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    floor: Option<Option<u32>>,
    /// What is due to it beside others when there are not enough server connections for all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000)]
    weight: Option<Option<u32>>,
}

impl LimitsUpdate {
    fn over(&self, own: Entitlement) -> Entitlement {
        Entitlement {
            pool_size: self.pool_size.unwrap_or(own.pool_size),
            client_limit: self.client_limit.unwrap_or(own.client_limit),
            queue_limit: self.queue_limit.unwrap_or(own.queue_limit),
            checkout_timeout_ms: self.checkout_timeout_ms.unwrap_or(own.checkout_timeout_ms),
            floor: self.floor.unwrap_or(own.floor),
            weight: self.weight.unwrap_or(own.weight),
            ..own
        }
    }
}

/// Tells a null, which means the plan's, from a field that is not there.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Show a tenant's limits.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/limits", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "Its limits", body = TenantLimits), Problems)
)]
pub(in super::super) async fn tenant_limits(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = find(&state, &tenant).await?;
    let own = state.catalog.entitlement_get(tenant.id).await?;
    let plan = plan_of(&state, &tenant).await?;
    shown(&told(tenant, own, plan))
}

/// Change a tenant's own limits, at once.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/limits", tag = "tenants", request_body = LimitsUpdate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = TenantLimits), Problems)
)]
pub(in super::super) async fn tenant_set_limits(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<LimitsUpdate>,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = find(&state, &tenant).await?;
    let plan = plan_of(&state, &tenant).await?;
    let own = body.value.over(change.tx.entitlement_lock(tenant.id, caller.expected_version).await?);
    plans::check(&own.over(plan))?;
    let tenant = change.tx.entitlement_set(tenant.id, &own).await?;
    change.finish(StatusCode::OK, &told(tenant, own, plan)).await
}

async fn plan_of(state: &ApiState, tenant: &TenantRecord) -> ApiResult<Limits> {
    let plan = state.catalog.plan_get(&tenant.plan).await?.ok_or(ProblemKind::PlanNotFound)?;
    Ok(plan.limits)
}

fn told(tenant: TenantRecord, own: Entitlement, plan: Limits) -> TenantLimits {
    let limits = own.over(plan).into();
    TenantLimits { plan: tenant.plan.into(), limits, own: own.into(), version: tenant.version }
}

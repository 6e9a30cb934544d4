//! What a tenant may use: its plan's limits, its own in their place, and what it uses of its storage.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named};
use super::super::limit_fields::{Entitlements, EntitlementsUpdate, check};
use super::super::mutation::{Begun, Mutation, shown};
use super::super::problem::{ApiResult, ProblemKind};
use super::find;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{Entitlement, StorageUse, TenantRecord};
use jiff::Timestamp;
use serde::Serialize;
use tenancy::Limits;
use utoipa::ToSchema;

/// What a tenant may use.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantEntitlements {
    /// Its plan.
    #[schema(example = "standard")]
    plan: String,
    /// What is in force.
    entitlements: Entitlements,
    /// What its database takes.
    storage: StorageShown,
    /// The tenant's version; also the `ETag`.
    version: i64,
}

/// What a tenant's database takes, and how it stands with its quota.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct StorageShown {
    /// Bytes when it was measured last; null while it never was.
    bytes: Option<u64>,
    /// When that was.
    #[schema(value_type = Option<String>, format = DateTime)]
    measured_at: Option<Timestamp>,
    /// `within` the quota; `near` it: at the soft quota; `full`: at the hard quota, read-only unless a transaction says
    /// otherwise; `sealed`: far beyond it, read-only in any case; `closed`: grown further all the same, nobody is served.
    #[schema(value_type = String, example = "within")]
    standing: &'static str,
}

impl StorageShown {
    fn of(used: &StorageUse, limits: &Limits) -> Self {
        let standing_of = |bytes| limits.storage_standing(bytes, used.sealed_bytes);
        let standing = used.bytes.map(standing_of).unwrap_or_default();
        Self { bytes: used.bytes, measured_at: used.measured_at, standing: standing.as_str() }
    }
}

/// Show what a tenant may use, and where each value comes from.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/entitlements", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "Its entitlements", body = TenantEntitlements), Problems)
)]
pub(in super::super) async fn tenant_entitlements(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = find(&state, &tenant).await?;
    let own = state.catalog.entitlement_get(tenant.id).await?;
    let plan = plan_of(&state, &tenant).await?;
    let used = state.catalog.storage_use(tenant.id).await?;
    shown(&told(tenant, &own, &plan, &used))
}

/// Change what a tenant may use beside its plan, at once.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/entitlements", tag = "tenants", request_body = EntitlementsUpdate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = TenantEntitlements), Problems)
)]
pub(in super::super) async fn tenant_entitle(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<EntitlementsUpdate>,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = find(&state, &tenant).await?;
    let plan = plan_of(&state, &tenant).await?;
    let own = body.value.over(change.tx.entitlement_lock(tenant.id, caller.expected_version).await?);
    check(&own.over(plan))?;
    let tenant = change.tx.entitlement_set(tenant.id, &own).await?;
    let used = state.catalog.storage_use(tenant.id).await?;
    change.finish(StatusCode::OK, &told(tenant, &own, &plan, &used)).await
}

async fn plan_of(state: &ApiState, tenant: &TenantRecord) -> ApiResult<Limits> {
    let plan = state.catalog.plan_get(&tenant.plan).await?.ok_or(ProblemKind::PlanNotFound)?;
    Ok(plan.limits)
}

fn told(tenant: TenantRecord, own: &Entitlement, plan: &Limits, used: &StorageUse) -> TenantEntitlements {
    TenantEntitlements {
        plan: tenant.plan.into(),
        entitlements: Entitlements::of(own, plan),
        storage: StorageShown::of(used, &own.over(*plan)),
        version: tenant.version,
    }
}

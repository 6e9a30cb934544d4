//! From where a tenant may be reached at the gateways. The control plane itself is not closed by it: whoever has shut
//! himself out mends it here.

use super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::tenants;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::ALLOW_LIST_MAX;
use serde::{Deserialize, Serialize};
use tenancy::AddressRange;
use utoipa::ToSchema;

/// From where a tenant may be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllowList {
    /// Ranges of addresses, IPv4 or IPv6; from everywhere if there is none.
    #[schema(example = json!(["192.0.2.0/24", "2001:db8::/32"]))]
    ranges: Vec<String>,
    /// The tenant's version; also the `ETag`.
    version: i64,
}

/// From where a tenant is to be reached, in place of what was said before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowListSet {
    /// Addresses, or ranges by their prefix; from everywhere if there is none.
    #[schema(example = json!(["192.0.2.0/24", "2001:db8::/32"]), max_items = 256)]
    ranges: Vec<String>,
}

/// Show from where a tenant may be reached.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/allow-list", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "Its list", body = AllowList), Problems)
)]
pub(super) async fn allow_list_get(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?;
    let ranges = state.catalog.allow_list(tenant.id).await?;
    shown(&AllowList { ranges: texts(&ranges), version: tenant.version })
}

/// Say from where a tenant may be reached. Who is connected from elsewhere is sent away.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}/allow-list", tag = "tenants", request_body = AllowListSet,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "In force", body = AllowList), Problems)
)]
pub(super) async fn allow_list_set(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<AllowListSet>,
) -> ApiResult<Response> {
    if body.value.ranges.len() > usize::try_from(ALLOW_LIST_MAX).unwrap_or(usize::MAX) {
        let detail = format!("an allow list has {ALLOW_LIST_MAX} ranges at most");
        return Err(Problem::new(ProblemKind::LimitReached).detail(detail).field("ranges"));
    }
    let ranges = body.value.ranges.iter().map(|range| field("ranges", range));
    let ranges = ranges.collect::<ApiResult<Vec<AddressRange>>>()?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let tenant = change.tx.allow_list_set(tenant.id, caller.expected_version, &ranges).await?;
    change.finish(StatusCode::OK, &AllowList { ranges: texts(&ranges), version: tenant.version }).await
}

fn texts(ranges: &[AddressRange]) -> Vec<String> {
    ranges.iter().map(ToString::to_string).collect()
}

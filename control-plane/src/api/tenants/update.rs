//! Changing what people set of a tenant.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, field, field_as};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, ProblemKind};
use super::create::allowed_regions;
use super::{Tenant, check_display_name, find};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::TenantPatch;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TenantUpdate {
    /// A new name in addresses. The old one leads to the tenant for seven more days.
    #[schema(example = "acme-corp")]
    slug: Option<String>,
    /// A new name for people.
    display_name: Option<String>,
    /// Another plan; its limits hold at once. Only the operator sets it.
    plan: Option<String>,
    /// Other regions where its data and connections may be; its home must be one. Only the operator sets them.
    allowed_regions: Option<Vec<String>>,
}

impl TenantUpdate {
    fn check(self) -> ApiResult<TenantPatch> {
        self.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        Ok(TenantPatch {
            slug: self.slug.map(|slug| field_as(ProblemKind::SlugInvalid, "slug", &slug)).transpose()?,
            display_name: self.display_name,
            plan: self.plan.map(|plan| field("plan", &plan)).transpose()?,
            allowed_regions: self.allowed_regions.map(|regions| allowed_regions(&regions)).transpose()?,
        })
    }
}

/// Change a tenant's names, plan or allowed regions.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}", tag = "tenants", request_body = TenantUpdate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = Tenant), Problems)
)]
pub(in super::super) async fn tenant_update(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<TenantUpdate>,
) -> ApiResult<Response> {
    for (field, given) in
        [("plan", body.value.plan.is_some()), ("allowed_regions", body.value.allowed_regions.is_some())]
    {
        if given {
            caller.operator_sets(field)?;
        }
    }
    let patch = body.value.check()?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = find(&state, &tenant).await?;
    let changed = change.tx.tenant_update(tenant.id, caller.expected_version, &patch).await?;
    change.finish(StatusCode::OK, &Tenant::from(changed)).await
}

//! Changing what people set of a tenant.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, field};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::create::allowed_regions;
use super::{Tenant, check_display_name, find, slug_to_take};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::TenantPatch;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The longest that an old name is kept: a year.
const KEEP_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TenantUpdate {
    /// A new name in addresses. The old one leads to the tenant for a while.
    #[schema(example = "acme-corp")]
    slug: Option<String>,
    /// For how many seconds the old name leads to the tenant, give or take a minute; as the installation is set up if
    /// left out, which is seven days mostly. Nobody else gets the name meanwhile, so only the operator keeps it for
    /// longer than that, and a tenant keeps 8 names at a time.
    #[schema(minimum = 0, maximum = 31_536_000)]
    keep_old_slug_s: Option<u32>,
    /// A new name for people.
    display_name: Option<String>,
    /// Another plan; its limits hold at once. Only the operator sets it.
    plan: Option<String>,
    /// Other regions where its data and connections may be; its home must be one. Only the operator sets them.
    allowed_regions: Option<Vec<String>>,
}

impl TenantUpdate {
    fn check(self, state: &ApiState) -> ApiResult<TenantPatch> {
        let keep =
            self.keep_old_slug_s.map_or(state.keep_old_slug, |seconds| Duration::from_secs(seconds.into()));
        if keep > KEEP_MAX {
            let detail = format!("keep_old_slug_s is 0 to {}", KEEP_MAX.as_secs());
            return Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("keep_old_slug_s"));
        }
        self.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        Ok(TenantPatch {
            slug: self.slug.map(|slug| slug_to_take(state, &slug)).transpose()?,
            keep_slug: Some(keep),
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
    let patch = body.value.check(&state)?;
    if patch.keep_slug.is_some_and(|keep| keep > state.keep_old_slug) {
        caller.operator_sets("keep_old_slug_s").map_err(|problem| {
            let longest = state.keep_old_slug.as_secs();
            problem.hint(format!("others keep an old name for up to {longest} seconds"))
        })?;
    }
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = find(&state, &tenant).await?;
    let changed = change.tx.tenant_update(tenant.id, caller.expected_version, &patch).await?;
    change.finish(StatusCode::OK, &Tenant::from(changed).seen_by(&caller.principal)).await
}

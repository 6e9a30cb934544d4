//! Looking at tenants.

use super::super::caller::Caller;
use super::super::document::Problems;
use super::super::extract::{Named, Params, field_as};
use super::super::mutation::shown;
use super::super::pagination::{Page, PageQuery};
use super::super::problem::{ApiResult, ProblemKind};
use super::super::words;
use super::{Tenant, find};
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;
use catalog_schema::TenantFilter;
use serde::Deserialize;
use tenancy::Permission;
use utoipa::IntoParams;

/// Which tenants are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct TenantQuery {
    /// In this state. Deleted ones are listed only when asked for.
    #[param(schema_with = words::tenant_state)]
    state: Option<String>,
    /// At home in this region.
    region: Option<String>,
    /// Placed on this cluster. For the operator only.
    cluster: Option<String>,
    /// Items in the page, 1 to 200; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl TenantQuery {
    fn filter(&self, caller: &Caller) -> ApiResult<TenantFilter> {
        let invalid = ProblemKind::InvalidQuery;
        if self.cluster.is_some() {
            caller.operator_sets("cluster")?;
        }
        Ok(TenantFilter {
            state: self.state.as_deref().map(|word| field_as(invalid, "state", word)).transpose()?,
            region: self.region.as_deref().map(|name| field_as(invalid, "region", name)).transpose()?,
            cluster: self.cluster.as_deref().map(|name| field_as(invalid, "cluster", name)).transpose()?,
            with_deleted: false,
            among: caller.among(Permission::TenantRead),
        })
    }
}

/// List the tenants.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", params(TenantQuery),
    responses((status = 200, description = "Tenants, by age", body = Page<Tenant>), Problems)
)]
pub(in super::super) async fn tenant_list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(wanted): Params<TenantQuery>,
) -> ApiResult<Response> {
    let filter = wanted.filter(&caller)?;
    let query = PageQuery { limit: wanted.limit, cursor: wanted.cursor };
    let limit = query.limit()?;
    let tenants = state.catalog.tenants(&filter, &query.page()?).await?;
    shown(&Page::cut(
        tenants,
        limit,
        |tenant| tenant.id.as_uuid(),
        |tenant| Tenant::from(tenant).seen_by(&caller.principal),
    ))
}

/// Show a tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "The tenant, with its ETag", body = Tenant), Problems)
)]
pub(in super::super) async fn tenant_get(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    shown(&Tenant::from(find(&state, &tenant).await?).seen_by(&caller.principal))
}

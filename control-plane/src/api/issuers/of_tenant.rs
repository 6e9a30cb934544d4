//! A tenant's own issuers, which vouch for that tenant and no other.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, Params};
use super::super::pagination::{Page, PageQuery};
use super::super::problem::ApiResult;
use super::super::tenants;
use super::trial::{self, IssuerTest, IssuerTested};
use super::{Issuer, IssuerCreate, IssuerSettings};
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;

/// Register an identity provider of a tenant's own, which may vouch for it alone.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/issuers", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders), request_body = IssuerCreate,
    responses((status = 201, description = "Registered", body = Issuer), Problems)
)]
pub(in super::super) async fn tenant_issuer_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<IssuerCreate>,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    super::create(&state, &caller, whose, body).await
}

/// List a tenant's own issuers.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/issuers", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), PageQuery),
    responses((status = 200, description = "Issuers, by age", body = Page<Issuer>), Problems)
)]
pub(in super::super) async fn tenant_issuer_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    super::list(&state, whose, &query).await
}

/// Show an issuer of a tenant's own.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/issuers/{issuer}", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), ("issuer" = String, Path, description = "The issuer's id")),
    responses((status = 200, description = "The issuer", body = Issuer), Problems)
)]
pub(in super::super) async fn tenant_issuer_get(
    State(state): State<ApiState>,
    Named((tenant, issuer)): Named<(String, String)>,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    super::get(&state, whose, &issuer).await
}

/// Change how the tokens of an issuer of a tenant's own are read, at once.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/issuers/{issuer}", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), ("issuer" = String, Path, description = "The issuer's id"), ChangeHeaders, ConditionHeaders), request_body = IssuerSettings,
    responses((status = 200, description = "Changed", body = Issuer), Problems)
)]
pub(in super::super) async fn tenant_issuer_update(
    State(state): State<ApiState>,
    Named((tenant, issuer)): Named<(String, String)>,
    caller: Caller,
    body: Body<IssuerSettings>,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    super::update(&state, &caller, whose, &issuer, body).await
}

/// Remove an issuer of a tenant's own: its tokens open nothing from then on.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/issuers/{issuer}", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), ("issuer" = String, Path, description = "The issuer's id"), ChangeHeaders),
    responses((status = 200, description = "Removed", body = Issuer), Problems)
)]
pub(in super::super) async fn tenant_issuer_delete(
    State(state): State<ApiState>,
    Named((tenant, issuer)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    super::delete(&state, &caller, whose, &issuer).await
}

/// Ask an issuer of a tenant's own for its keys, and try a token. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/issuers/{issuer}/test", tag = "issuers", params(("tenant" = String, Path, description = "Its id or slug"), ("issuer" = String, Path, description = "The issuer's id")), request_body = IssuerTest,
    responses((status = 200, description = "What came of it", body = IssuerTested), Problems)
)]
pub(in super::super) async fn tenant_issuer_test(
    State(state): State<ApiState>,
    Named((tenant, issuer)): Named<(String, String)>,
    body: Body<IssuerTest>,
) -> ApiResult<Response> {
    let whose = Some(tenants::find(&state, &tenant).await?.id);
    trial::test(&state, whose, &issuer, body).await
}

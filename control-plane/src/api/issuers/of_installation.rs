//! The installation's issuers, which may vouch for any tenant: an operator's affair.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, Params};
use super::super::pagination::{Page, PageQuery};
use super::super::problem::ApiResult;
use super::trial::{self, IssuerTest, IssuerTested};
use super::{Issuer, IssuerCreate, IssuerSettings};
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;

/// Register an identity provider that may vouch for any tenant.
#[utoipa::path(
    post, path = "/v1/issuers", tag = "issuers", params(ChangeHeaders), request_body = IssuerCreate,
    responses((status = 201, description = "Registered", body = Issuer), Problems)
)]
pub(in super::super) async fn issuer_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<IssuerCreate>,
) -> ApiResult<Response> {
    super::create(&state, &caller, None, body).await
}

/// List the installation's issuers.
#[utoipa::path(
    get, path = "/v1/issuers", tag = "issuers", params(PageQuery),
    responses((status = 200, description = "Issuers, by age", body = Page<Issuer>), Problems)
)]
pub(in super::super) async fn issuer_list(
    State(state): State<ApiState>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    super::list(&state, None, &query).await
}

/// Show an issuer.
#[utoipa::path(
    get, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path, description = "The issuer's id")),
    responses((status = 200, description = "The issuer", body = Issuer), Problems)
)]
pub(in super::super) async fn issuer_get(
    State(state): State<ApiState>,
    Named(issuer): Named<String>,
) -> ApiResult<Response> {
    super::get(&state, None, &issuer).await
}

/// Change how the tokens of an issuer are read, at once.
#[utoipa::path(
    patch, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path, description = "The issuer's id"), ChangeHeaders, ConditionHeaders), request_body = IssuerSettings,
    responses((status = 200, description = "Changed", body = Issuer), Problems)
)]
pub(in super::super) async fn issuer_update(
    State(state): State<ApiState>,
    Named(issuer): Named<String>,
    caller: Caller,
    body: Body<IssuerSettings>,
) -> ApiResult<Response> {
    super::update(&state, &caller, None, &issuer, body).await
}

/// Remove an issuer: its tokens open nothing from then on.
#[utoipa::path(
    delete, path = "/v1/issuers/{issuer}", tag = "issuers", params(("issuer" = String, Path, description = "The issuer's id"), ChangeHeaders),
    responses((status = 200, description = "Removed", body = Issuer), Problems)
)]
pub(in super::super) async fn issuer_delete(
    State(state): State<ApiState>,
    Named(issuer): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    super::delete(&state, &caller, None, &issuer).await
}

/// Ask an issuer for its keys, and try a token. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/issuers/{issuer}/test", tag = "issuers", params(("issuer" = String, Path, description = "The issuer's id")), request_body = IssuerTest,
    responses((status = 200, description = "What came of it", body = IssuerTested), Problems)
)]
pub(in super::super) async fn issuer_test(
    State(state): State<ApiState>,
    Named(issuer): Named<String>,
    body: Body<IssuerTest>,
) -> ApiResult<Response> {
    trial::test(&state, None, &issuer, body).await
}

//! HTTP, and nothing but HTTP: what a request means, and how its outcome reads.
//!
//! One file a resource, one function an endpoint, named noun first (`tenant_create`). The OpenAPI document
//! is made from the same functions that serve the requests, so neither can lie about the other. Handlers
//! change the catalog through [`mutation`] and leave work on clusters to operations; the one exception is
//! the look at a cluster that is being registered.

mod allow_list;
mod auth;
mod authority;
mod caller;
mod clusters;
mod credentials;
mod document;
mod domains;
mod external_ids;
mod extract;
mod features;
mod gateways;
mod handover;
mod health;
mod invites;
mod issuers;
mod limit_fields;
mod limits;
mod members;
mod mutation;
mod observe;
mod operations;
mod origin;
mod pagination;
mod plan;
mod plans;
mod preconditions;
mod problem;
mod refusal;
mod regions;
mod roles;
mod secret_text;
mod server;
mod service_credentials;
mod session;
mod shares;
mod signing_keys;
mod standing;
mod stranger;
mod tenants;
mod users;
mod words;

pub(crate) use auth::{Gate, OperatorToken};
pub use document::openapi;
pub use server::TlsError;
pub(crate) use server::{Admission, Tls, serve};

use crate::context::ApiState;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::{Router, http::HeaderValue, http::header::CACHE_CONTROL};
use problem::{Problem, ProblemKind};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Every path with its handlers. What each requires stands in `auth/requirement.rs`.
fn resources() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(regions::region_create, regions::region_list))
        .routes(routes!(regions::region_get))
        .routes(routes!(clusters::cluster_register, clusters::cluster_list))
        .routes(routes!(clusters::cluster_get, clusters::cluster_update))
        .routes(routes!(gateways::gateway_list))
        .routes(routes!(gateways::gateway_forget))
        .routes(routes!(plans::plan_create, plans::plan_list))
        .routes(routes!(plans::plan_get, plans::plan_update))
        .routes(routes!(tenants::tenant_create, tenants::tenant_list))
        .routes(routes!(tenants::tenant_get, tenants::tenant_update, tenants::tenant_delete))
        .routes(routes!(tenants::tenant_entitlements, tenants::tenant_entitle))
        .routes(routes!(features::feature_create, features::feature_list))
        .routes(routes!(features::feature_get, features::feature_update, features::feature_delete))
        .routes(routes!(features::tenant_feature_list))
        .routes(routes!(features::tenant_feature_set, features::tenant_feature_clear))
        .routes(routes!(allow_list::allow_list_get, allow_list::allow_list_set))
        .routes(routes!(tenants::tenant_suspend))
        .routes(routes!(tenants::tenant_resume))
        .routes(routes!(credentials::credential_create, credentials::credential_list))
        .routes(routes!(credentials::credential_revoke))
        .routes(routes!(credentials::credential_rotate))
        .routes(routes!(domains::domain_create, domains::domain_list))
        .routes(routes!(domains::domain_verify))
        .routes(routes!(domains::domain_delete))
        .routes(routes!(
            service_credentials::service_credential_create,
            service_credentials::service_credential_list
        ))
        .routes(routes!(service_credentials::service_credential_revoke))
        .routes(routes!(users::user_create, users::user_list))
        .routes(routes!(users::user_get, users::user_update, users::user_delete))
        .routes(routes!(users::user_identity_add, users::user_identity_remove))
        .routes(routes!(users::user_session_list, users::user_sessions_revoke))
        .routes(routes!(users::user_tenant_list))
        .routes(routes!(members::member_add, members::member_list))
        .routes(routes!(members::member_get, members::member_update, members::member_remove))
        .routes(routes!(roles::role_create, roles::role_list))
        .routes(routes!(roles::role_update, roles::role_delete))
        .routes(routes!(invites::invite_create, invites::invite_list))
        .routes(routes!(invites::invite_revoke))
        .routes(routes!(invites::invite_accept))
        .routes(routes!(session::session_create, session::session_get, session::session_delete))
        .routes(routes!(session::session_switch))
        .routes(routes!(session::session_password))
        .routes(routes!(session::session_tenant_list))
        .routes(routes!(session::session_leave))
        .routes(routes!(session::session_list))
        .routes(routes!(session::session_revoke))
        .routes(routes!(invites::invite_join))
        .routes(routes!(signing_keys::signing_key_list))
        .routes(routes!(signing_keys::signing_key_rotate))
        .routes(routes!(issuers::issuer_create, issuers::issuer_list))
        .routes(routes!(issuers::issuer_get, issuers::issuer_update, issuers::issuer_delete))
        .routes(routes!(issuers::issuer_test))
        .routes(routes!(issuers::tenant_issuer_create, issuers::tenant_issuer_list))
        .routes(routes!(
            issuers::tenant_issuer_get,
            issuers::tenant_issuer_update,
            issuers::tenant_issuer_delete
        ))
        .routes(routes!(issuers::tenant_issuer_test))
        .routes(routes!(external_ids::external_id_create, external_ids::external_id_list))
        .routes(routes!(external_ids::external_id_delete))
        .routes(routes!(operations::operation_list))
        .routes(routes!(operations::operation_get))
        .routes(routes!(operations::operation_cancel))
        .routes(routes!(operations::operation_events))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(document::openapi_json))
}

/// The whole API, with its layers from the outside in: observe, from where, bound, then who may ask for what.
pub(crate) fn router(state: ApiState, gate: Gate) -> Router {
    let (resources, _) = resources().split_for_parts();
    resources
        .layer(map_response(never_cached))
        .layer(from_fn_with_state(gate, auth::authorise))
        .fallback(async || Problem::new(ProblemKind::NotFound))
        .method_not_allowed_fallback(async || Problem::new(ProblemKind::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max))
        .layer(from_fn_with_state(state.limits.clone(), limits::bound))
        .layer(from_fn(origin::is_one))
        .layer(from_fn_with_state(state.metrics.clone(), observe::observe))
        .with_state(state)
}

/// Some answers hold secrets, and none is worth an intermediary's memory.
async fn never_cached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

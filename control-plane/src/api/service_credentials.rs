//! Service credentials: programs of the installation that act for tenants which their requests name. Each is shown once,
//! when it is made.

use super::caller::{Caller, ChangeHeaders};
use super::credentials::shown_once;
use super::document::Problems;
use super::extract::{Body, Named, Params, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::{tenants, words};
use crate::context::ApiState;
use crate::secrets::{self, KeyFor};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{NewService, SERVICE_TENANTS_MAX, ServiceDetail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::{ServiceId, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A service credential, without what would open anything.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceCredential {
    /// Its id.
    id: Uuid,
    /// What people call it.
    #[schema(example = "nightly-report")]
    name: String,
    /// The key's first characters.
    key_prefix: String,
    /// What it may do inside a tenant that it acts for.
    #[schema(schema_with = words::role)]
    role: &'static str,
    /// The ids of the tenants that it may act for; none for every one.
    tenants: Option<Vec<Uuid>>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it opens nothing.
    expires_at: Timestamp,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
    /// When it was used last, give or take a minute.
    last_used_at: Option<Timestamp>,
}

impl From<ServiceDetail> for ServiceCredential {
    fn from(detail: ServiceDetail) -> Self {
        Self {
            id: detail.id.as_uuid(),
            name: detail.name,
            key_prefix: detail.key_prefix,
            role: detail.role.as_str(),
            tenants: detail.tenants.map(|tenants| tenants.into_iter().map(TenantId::as_uuid).collect()),
            created_at: detail.created_at,
            expires_at: detail.expires_at,
            revoked_at: detail.revoked_at,
            last_used_at: detail.last_used_at,
        }
    }
}

/// A service credential to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceCredentialCreate {
    /// What people call it.
    #[schema(example = "nightly-report")]
    name: String,
    /// What it may do inside a tenant that it acts for.
    #[schema(schema_with = words::role)]
    role: String,
    /// The tenants that it may act for, by id or slug, at most 100; every one if left out.
    tenants: Option<Vec<String>>,
    /// From when on it opens nothing. Nobody makes one that lasts for ever.
    expires_at: Timestamp,
}

/// A service credential with its key.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceCredentialCreated {
    /// The credential.
    service_credential: ServiceCredential,
    /// Shown once, in this answer.
    #[schema(example = "tns_…")]
    key: String,
}

/// Make a service credential and show it, once.
#[utoipa::path(
    post, path = "/v1/service-credentials", tag = "service credentials", params(ChangeHeaders),
    request_body = ServiceCredentialCreate,
    responses((status = 201, description = "Made", body = ServiceCredentialCreated), Problems)
)]
pub(super) async fn service_credential_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<ServiceCredentialCreate>,
) -> ApiResult<Response> {
    let ServiceCredentialCreate { name, role, tenants, expires_at } = body.value;
    let role = field("role", &role)?;
    check(&name, expires_at)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenants = match tenants {
        Some(named) => Some(ids_of(&state, &named).await?),
        None => None,
    };
    let secrets::ApiKey { key, prefix, hash } = secrets::api_key(KeyFor::Service)?;
    let id = ServiceId::generate();
    let new = NewService { id, name, key_prefix: prefix, key_hash: hash, role, tenants, expires_at };
    let made = change.tx.service_create(&new).await?;
    let made = ServiceCredentialCreated { service_credential: made.into(), key: shown_once(&key) };
    change.finish(StatusCode::CREATED, &made).await
}

fn check(name: &str, expires_at: Timestamp) -> ApiResult<()> {
    let invalid = |field: &str, detail: String| {
        Err(Problem::new(ProblemKind::InvalidField).detail(detail).field(field))
    };
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
        let detail = format!("a name has 1 to {NAME_BYTES_MAX} bytes, none of them control characters");
        return invalid("name", detail);
    }
    if expires_at <= Timestamp::now() {
        return invalid("expires_at", "expires_at is in the past".to_owned());
    }
    Ok(())
}

async fn ids_of(state: &ApiState, named: &[String]) -> ApiResult<Vec<TenantId>> {
    if !(1..=SERVICE_TENANTS_MAX).contains(&named.len()) {
        let detail = format!("tenants lists 1 to {SERVICE_TENANTS_MAX} of them; leave it out for every one");
        return Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("tenants"));
    }
    let mut ids = Vec::with_capacity(named.len());
    for name in named {
        ids.push(tenants::find(state, name).await?.id);
    }
    Ok(ids)
}

/// List the service credentials, revoked and expired ones too.
#[utoipa::path(
    get, path = "/v1/service-credentials", tag = "service credentials", params(PageQuery),
    responses((status = 200, description = "Service credentials, by age", body = Page<ServiceCredential>), Problems)
)]
pub(super) async fn service_credential_list(
    State(state): State<ApiState>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let services = state.catalog.services(&query.page()?).await?;
    shown(&Page::cut(services, limit, |service| service.id.as_uuid(), ServiceCredential::from))
}

/// Revoke a service credential. Gateways stop taking it at once; revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/service-credentials/{service_credential}", tag = "service credentials",
    params(("service_credential" = Uuid, Path, description = "Its id"), ChangeHeaders),
    responses((status = 200, description = "Revoked", body = ServiceCredential), Problems)
)]
pub(super) async fn service_credential_revoke(
    State(state): State<ApiState>,
    Named(service): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let service: ServiceId = service.parse().map_err(|_| ProblemKind::ServiceNotFound)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let revoked = change.tx.service_revoke(service).await?;
    change.finish(StatusCode::OK, &ServiceCredential::from(revoked)).await
}

//! Credentials: passwords and API keys that open a tenant's database. Each is shown once, when it is made.

mod issue;
mod rotate;

pub(super) use issue::{Handover, first_credentials, shown_once};
pub(super) use rotate::{__path_credential_rotate, credential_rotate};

use super::authority::Authority;
use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, Params, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::{tenants, words};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{CredentialDetail, TenantRecord};
use issue::{Terms, Wanted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::name::TOKEN_USER;
use tenancy::{CredentialId, KeyScope, PoolMode, Role, TenantState, UserName};
use utoipa::ToSchema;
use uuid::Uuid;

/// A credential, without what would open anything.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Credential {
    /// Its id.
    id: Uuid,
    /// `password` or `api-key`.
    kind: String,
    /// The user, of a password.
    user_name: Option<String>,
    /// The first characters, of an API key.
    key_prefix: Option<String>,
    /// What its holder may do inside the tenant.
    #[schema(schema_with = words::role)]
    role: &'static str,
    /// How long its clients keep a server connection, unless they say so themselves; none for the gateway's default.
    #[schema(schema_with = words::pool_mode)]
    pool_mode: Option<&'static str>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it opens nothing.
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
    /// What an API key is good for.
    #[schema(schema_with = words::key_scope)]
    scope: &'static str,
    /// The credential whose place it takes: that one ends by itself.
    replaces: Option<Uuid>,
    /// When an API key was used last, give or take a minute.
    last_used_at: Option<Timestamp>,
}

impl From<CredentialDetail> for Credential {
    fn from(detail: CredentialDetail) -> Self {
        Self {
            id: detail.id.as_uuid(),
            kind: detail.kind,
            user_name: detail.user.map(String::from),
            key_prefix: detail.key_prefix,
            role: detail.role.as_str(),
            pool_mode: detail.pool_mode.map(PoolMode::as_str),
            created_at: detail.created_at,
            expires_at: detail.expires_at,
            revoked_at: detail.revoked_at,
            scope: detail.scope.as_str(),
            replaces: detail.replaces.map(CredentialId::as_uuid),
            last_used_at: detail.last_used_at,
        }
    }
}

/// What a credential can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = CredentialKind)]
pub(super) enum Kind {
    /// A user and password for the PostgreSQL protocol.
    Password,
    /// A key for SQL over HTTP.
    ApiKey,
}

/// A credential to make. Its secret is made here, never sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialCreate {
    /// `password` or `api-key`.
    kind: Kind,
    /// The user, of a password; `app` if left out. One user may have several, so that they can be rotated.
    #[schema(example = "app")]
    user_name: Option<String>,
    /// What its holder may do; `owner` if left out. Nobody gives more than they hold.
    #[schema(schema_with = words::role)]
    role: Option<String>,
    /// From when on it opens nothing; never if left out.
    expires_at: Option<Timestamp>,
    /// How long the clients of a password keep a server connection, unless they say so themselves; the gateway's
    /// default if left out.
    #[schema(schema_with = words::pool_mode)]
    pool_mode: Option<String>,
    /// What an API key is good for; `data` if left out. `read-only` reads whatever its role; `admin` opens the control
    /// plane too, for its own tenant.
    #[schema(schema_with = words::key_scope)]
    scope: Option<String>,
}

/// A credential with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialCreated {
    /// The credential.
    credential: Credential,
    /// Shown once, in this answer.
    #[serde(flatten)]
    handover: Handover,
}

/// Make a credential and show it, once.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/credentials", tag = "credentials", request_body = CredentialCreate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Made", body = CredentialCreated), Problems)
)]
pub(super) async fn credential_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<CredentialCreate>,
) -> ApiResult<Response> {
    let (wanted, terms) = check(&body.value)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    gets_credentials(&tenant)?;
    let authority = Authority::of(&caller, &mut change.tx, tenant.id).await?;
    authority.covers(wanted.scope().permissions(terms.role))?;
    let (credential, handover) = issue::issue(&state, &mut change.tx, &tenant, wanted, &terms).await?;
    change.finish(StatusCode::CREATED, &CredentialCreated { credential: credential.into(), handover }).await
}

fn gets_credentials(tenant: &TenantRecord) -> ApiResult<()> {
    if matches!(tenant.state, TenantState::Purging | TenantState::Deleted) {
        let detail = format!("a tenant that is {} gets no credentials", tenant.state);
        return Err(Problem::new(ProblemKind::TenantState).detail(detail));
    }
    Ok(())
}

fn check(value: &CredentialCreate) -> ApiResult<(Wanted, Terms)> {
    let invalid =
        |field: &str, detail: &str| Problem::new(ProblemKind::InvalidField).detail(detail).field(field);
    let role = value.role.as_deref().map_or(Ok(Role::Owner), |word| field("role", word))?;
    if value.expires_at.is_some_and(|at| at <= Timestamp::now()) {
        return Err(invalid("expires_at", "expires_at is in the past"));
    }
    let scope: Option<KeyScope> = value.scope.as_deref().map(|word| field("scope", word)).transpose()?;
    if value.kind == Kind::Password && scope.is_some() {
        return Err(invalid("scope", "a password has no scope: it is for the tenant's data"));
    }
    let wanted = match (value.kind, &value.user_name) {
        (Kind::Password, None) => Wanted::Password(issue::first_user()),
        // Who names it is asked for a token, in clear.
        (Kind::Password, Some(user)) if user == TOKEN_USER => {
            return Err(invalid("user_name", "this user's clients show tokens in place of passwords"));
        }
        (Kind::Password, Some(user)) => Wanted::Password(field::<UserName>("user_name", user)?),
        (Kind::ApiKey, None) => Wanted::ApiKey(scope.unwrap_or_default()),
        (Kind::ApiKey, Some(_)) => return Err(invalid("user_name", "an API key has no user")),
    };
    let pool_mode: Option<PoolMode> =
        value.pool_mode.as_deref().map(|word| field("pool_mode", word)).transpose()?;
    if value.kind == Kind::ApiKey && pool_mode.is_some() {
        return Err(invalid("pool_mode", "an API key has no pool mode: each request stands for itself"));
    }
    Ok((wanted, Terms { role, expires_at: value.expires_at, pool_mode }))
}

/// List a tenant's credentials, revoked and expired ones too.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/credentials", tag = "credentials",
    params(("tenant" = String, Path, description = "Its id or slug"), PageQuery),
    responses((status = 200, description = "Credentials, by age", body = Page<Credential>), Problems)
)]
pub(super) async fn credential_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let tenant = tenants::find(&state, &tenant).await?;
    let credentials = state.catalog.credentials(tenant.id, &query.page()?).await?;
    shown(&Page::cut(credentials, limit, |credential| credential.id.as_uuid(), Credential::from))
}

/// Revoke a credential. Gateways stop taking it at once; revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/credentials/{credential}", tag = "credentials",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("credential" = Uuid, Path, description = "Its id"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Revoked", body = Credential), Problems)
)]
pub(super) async fn credential_revoke(
    State(state): State<ApiState>,
    Named((tenant, credential)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let credential: CredentialId = credential.parse().map_err(|_| ProblemKind::CredentialNotFound)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let authority = Authority::of(&caller, &mut change.tx, tenant.id).await?;
    let revoked = change.tx.credential_revoke(tenant.id, credential).await?;
    authority.covers(revoked.scope.permissions(revoked.role))?;
    change.finish(StatusCode::OK, &Credential::from(revoked)).await
}

//! What people see and change of themselves.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, Params};
use super::super::members::Membership;
use super::super::mutation::{Begun, Mutation, shown};
use super::super::pagination::{Page, PageQuery};
use super::super::problem::{ApiResult, ProblemKind};
use super::super::secret_text::{self, SecretText};
use super::super::stranger::Stranger;
use super::super::users::{self, User};
use super::{Ended, Session, sessions_of};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{CatalogError, UserPatch};
use serde::{Deserialize, Serialize};
use tenancy::{Email, Secret, SessionId, TenantId};
use utoipa::ToSchema;

/// Who has signed in, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct SignedInAs {
    /// The session.
    session: Session,
    /// The user.
    user: User,
}

/// A password in place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PasswordChange {
    /// The one so far.
    #[schema(schema_with = secret_text::schema)]
    current: SecretText,
    /// The one from now on: at least 12 characters.
    #[schema(schema_with = secret_text::schema)]
    new: SecretText,
}

/// Show who one is.
#[utoipa::path(
    get, path = "/v1/session", tag = "session",
    responses((status = 200, description = "The session and its user", body = SignedInAs), Problems)
)]
pub(in super::super) async fn session_get(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Response> {
    let signed_in = caller.signed_in()?;
    let session = state.catalog.session_get(signed_in.session).await?.ok_or(ProblemKind::SessionNotFound)?;
    let user = state.catalog.user_get(signed_in.user).await?.ok_or(ProblemKind::UserNotFound)?;
    shown(&SignedInAs { session: session.into(), user: user.into() })
}

/// Sign out. Gateways refuse the session's tokens within a second.
#[utoipa::path(
    delete, path = "/v1/session", tag = "session",
    responses((status = 200, description = "Signed out", body = Ended), Problems)
)]
pub(in super::super) async fn session_delete(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Response> {
    let signed_in = caller.signed_in()?;
    let mut tx = state.catalog.begin(&caller.context).await?;
    tx.session_revoke(signed_in.user, signed_in.session).await?;
    tx.commit().await?;
    shown(&Ended { ended: 1 })
}

/// List one's sessions that last.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "session", params(PageQuery),
    responses((status = 200, description = "Sessions, by age", body = Page<Session>), Problems)
)]
pub(in super::super) async fn session_list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    sessions_of(&state, caller.signed_in()?.user, &query).await
}

/// End one of one's sessions. Gateways refuse its tokens within a second.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}", tag = "session",
    params(("session" = Uuid, Path, description = "Its id"), ChangeHeaders),
    responses((status = 200, description = "Ended", body = Ended), Problems)
)]
pub(in super::super) async fn session_revoke(
    State(state): State<ApiState>,
    Named(session): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let session: SessionId = session.parse().map_err(|_| ProblemKind::SessionNotFound)?;
    let user = caller.signed_in()?.user;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    change.tx.session_revoke(user, session).await?;
    change.finish(StatusCode::OK, &Ended { ended: 1 }).await
}

/// List what one is in which tenants.
#[utoipa::path(
    get, path = "/v1/session/tenants", tag = "session", params(PageQuery),
    responses((status = 200, description = "Memberships, by the tenants' age", body = Page<Membership>), Problems)
)]
pub(in super::super) async fn session_tenant_list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    users::tenants_of(&state, caller.signed_in()?.user, &query).await
}

/// Leave a tenant. The last owner stays.
#[utoipa::path(
    delete, path = "/v1/session/tenants/{of}", tag = "session",
    params(("of" = Uuid, Path, description = "The tenant's id"), ChangeHeaders),
    responses((status = 200, description = "Left", body = Membership), Problems)
)]
pub(in super::super) async fn session_leave(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let tenant: TenantId = tenant.parse().map_err(|_| ProblemKind::TenantNotFound)?;
    let user = caller.signed_in()?.user;
    // Whoever has left already may be asking for the answer to that.
    let own = caller.principal.permissions_in(tenant).map(|_| tenant);
    let mut change = match Mutation::begin_in(&state, &caller, &[], own).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    if own.is_none() {
        return Err(ProblemKind::TenantNotFound.into());
    }
    let left = match change.tx.membership_delete(tenant, user).await {
        Err(CatalogError::NotFound { .. }) => return Err(ProblemKind::TenantNotFound.into()),
        left => left?,
    };
    change.finish(StatusCode::OK, &Membership::from(left)).await
}

/// Change one's password. Ends all of one's other sessions.
#[utoipa::path(
    post, path = "/v1/session/password", tag = "session", request_body = PasswordChange, params(ChangeHeaders),
    responses((status = 200, description = "Changed", body = Ended), Problems)
)]
pub(in super::super) async fn session_password(
    State(state): State<ApiState>,
    stranger: Stranger,
    caller: Caller,
    body: Body<PasswordChange>,
) -> ApiResult<Response> {
    let signed_in = caller.signed_in()?;
    if let Some(answer) = Mutation::answered(&state, &caller, &body.bytes).await? {
        return Ok(answer);
    }
    let user = state.catalog.user_get(signed_in.user).await?.ok_or(ProblemKind::UserNotFound)?;
    let current = check_current(&state, &stranger, &user.email, &body.value.current).await?;
    let hash = state.people.passwords.hash(&body.value.new.0).await?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    if !change.tx.password_stands(signed_in.user, &current).await? {
        return Err(ProblemKind::SignInRefused.into());
    }
    let patch = UserPatch { password_hash: Some(hash), ..UserPatch::default() };
    change.tx.user_update(signed_in.user, None, &patch).await?;
    let ended = change.tx.sessions_revoke(signed_in.user, Some(signed_in.session)).await?;
    change.finish(StatusCode::OK, &Ended { ended }).await
}

/// The hash of the password so far, which the caller knows. A session that somebody has found does not give them the
/// account: guesses count as failed attempts to sign in.
async fn check_current(
    state: &ApiState,
    stranger: &Stranger,
    email: &Email,
    current: &SecretText,
) -> ApiResult<Secret> {
    let attempt = state.people.attempt(stranger.address, Some(email.as_str()));
    let attempt = attempt.ok_or(ProblemKind::TooManySignIns)?;
    let login = state.catalog.user_login(email).await?;
    let hash = login.and_then(|login| login.password_hash);
    let right = state.people.passwords.check(&current.0, hash.as_ref()).await?;
    let known = hash.filter(|_| right).ok_or(ProblemKind::SignInRefused)?;
    state.people.give_back(attempt);
    Ok(known)
}

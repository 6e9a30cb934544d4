//! Changing and removing a user.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, field};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::ApiResult;
use super::super::secret_text::{self, SecretText};
use super::super::tenants::check_display_name;
use super::{User, find};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::UserPatch;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct UserUpdate {
    /// Another name to sign in by.
    email: Option<String>,
    /// Another name for people.
    display_name: Option<String>,
    /// Another password. Ends all their sessions.
    #[schema(schema_with = secret_text::schema)]
    password: Option<SecretText>,
    /// Whether nothing lets them in. Ends all their sessions.
    disabled: Option<bool>,
}

/// Change a user.
#[utoipa::path(
    patch, path = "/v1/users/{user}", tag = "users", request_body = UserUpdate,
    params(("user" = String, Path, description = "Their id or e-mail address"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = User), Problems)
)]
pub(in super::super) async fn user_update(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    caller: Caller,
    body: Body<UserUpdate>,
) -> ApiResult<Response> {
    let UserUpdate { email, display_name, password, disabled } = body.value;
    let email = email.map(|email| field("email", &email)).transpose()?;
    display_name.as_deref().map_or(Ok(()), check_display_name)?;
    if let Some(answer) = Mutation::answered(&state, &caller, &body.bytes).await? {
        return Ok(answer);
    }
    let password_hash = match &password {
        Some(SecretText(password)) => Some(state.people.passwords.hash(password).await?),
        None => None,
    };
    let user = find(&state, &user).await?.id;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let ends_sessions = password_hash.is_some();
    let patch = UserPatch { email, display_name, password_hash, disabled };
    let changed = change.tx.user_update(user, caller.expected_version, &patch).await?;
    if ends_sessions {
        change.tx.sessions_revoke(user, None).await?;
    }
    change.finish(StatusCode::OK, &User::from(changed)).await
}

/// Remove a user, with their memberships and sessions. Refused while they are some tenant's last owner.
#[utoipa::path(
    delete, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address"), ChangeHeaders),
    responses((status = 200, description = "Removed", body = User), Problems)
)]
pub(in super::super) async fn user_delete(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let user = find(&state, &user).await?.id;
    let removed = change.tx.user_delete(user).await?;
    change.finish(StatusCode::OK, &User::from(removed)).await
}

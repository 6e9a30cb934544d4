//! Adding a user.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, field};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::ApiResult;
use super::super::secret_text::{self, SecretText};
use super::super::tenants::check_display_name;
use super::User;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::NewUser;
use serde::Deserialize;
use tenancy::UserId;
use utoipa::ToSchema;

/// A user to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct UserCreate {
    /// The name that they sign in by. Nobody checks that mail sent there is read.
    #[schema(example = "ann@example.com")]
    email: String,
    /// The name for people.
    #[schema(example = "Ann Smith")]
    display_name: String,
    /// Their password: at least 12 characters. Left out, they sign in by an identity provider only.
    #[schema(schema_with = secret_text::schema)]
    password: Option<SecretText>,
}

/// Add a user.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", params(ChangeHeaders), request_body = UserCreate,
    responses((status = 201, description = "Added", body = User), Problems)
)]
pub(in super::super) async fn user_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<UserCreate>,
) -> ApiResult<Response> {
    let UserCreate { email, display_name, password } = body.value;
    let email = field("email", &email)?;
    check_display_name(&display_name)?;
    if let Some(answer) = Mutation::answered(&state, &caller, &body.bytes).await? {
        return Ok(answer);
    }
    let password_hash = match &password {
        Some(SecretText(password)) => Some(state.people.passwords.hash(password).await?),
        None => None,
    };
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let new = NewUser { id: UserId::generate(), email, display_name, password_hash, made_by_invite_of: None };
    let user = change.tx.user_create(&new).await?;
    change.finish(StatusCode::CREATED, &User::from(user)).await
}

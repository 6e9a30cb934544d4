//! Who users are at identity providers.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named, Params};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::{User, find, find_vouched};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::UserIdentity;
use serde::Deserialize;
use tenancy::issuer::ISSUER_TEXT_MAX;
use utoipa::{IntoParams, ToSchema};

/// The longest subject, in bytes (OpenID Connect Core §2).
const SUBJECT_BYTES_MAX: usize = 255;

/// Who a user is at an identity provider.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct IdentityNamed {
    /// The provider, as its tokens' `iss` has it, letter by letter.
    #[schema(example = "https://login.example.com/")]
    issuer: String,
    /// The user, as its tokens' `sub` has it.
    subject: String,
}

impl IdentityNamed {
    fn check(self) -> ApiResult<UserIdentity> {
        let Self { issuer, subject } = self;
        for (field, text, max) in
            [("issuer", &issuer, ISSUER_TEXT_MAX), ("subject", &subject, SUBJECT_BYTES_MAX)]
        {
            if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
                let detail = format!("{field} has 1 to {max} bytes, none of them control characters");
                return Err(Problem::new(ProblemKind::InvalidField).detail(detail).field(field));
            }
        }
        Ok(UserIdentity { issuer, subject })
    }
}

/// Say who a user is at an identity provider, whose tokens let them sign in from then on.
#[utoipa::path(
    post, path = "/v1/users/{user}/identities", tag = "users", request_body = IdentityNamed,
    params(("user" = String, Path, description = "Their id or e-mail address"), ChangeHeaders),
    responses((status = 200, description = "Said", body = User), Problems)
)]
pub(in super::super) async fn user_identity_add(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    caller: Caller,
    body: Body<IdentityNamed>,
) -> ApiResult<Response> {
    let identity = body.value.check()?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let user = find_vouched(&state, &user).await?.id;
    let changed = change.tx.user_identity_add(user, &identity).await?;
    change.finish(StatusCode::OK, &User::from(changed)).await
}

/// Take an identity from a user. Sessions that it has begun go on.
#[utoipa::path(
    delete, path = "/v1/users/{user}/identities", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address"), IdentityNamed, ChangeHeaders),
    responses((status = 200, description = "Taken", body = User), Problems)
)]
pub(in super::super) async fn user_identity_remove(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    Params(identity): Params<IdentityNamed>,
    caller: Caller,
) -> ApiResult<Response> {
    let identity = identity.check()?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let user = find(&state, &user).await?.id;
    let changed = change.tx.user_identity_remove(user, &identity).await?;
    change.finish(StatusCode::OK, &User::from(changed)).await
}

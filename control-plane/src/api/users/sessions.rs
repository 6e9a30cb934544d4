//! A user's sessions, as the operator sees them.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Named, Params};
use super::super::mutation::{Begun, Mutation};
use super::super::pagination::{Page, PageQuery};
use super::super::problem::ApiResult;
use super::super::session::{Ended, Session, sessions_of};
use super::find;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

/// List a user's sessions that last.
#[utoipa::path(
    get, path = "/v1/users/{user}/sessions", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address"), PageQuery),
    responses((status = 200, description = "Sessions, by age", body = Page<Session>), Problems)
)]
pub(in super::super) async fn user_session_list(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let user = find(&state, &user).await?.id;
    sessions_of(&state, user, &query).await
}

/// End all of a user's sessions. Gateways refuse their tokens within a second.
#[utoipa::path(
    delete, path = "/v1/users/{user}/sessions", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address"), ChangeHeaders),
    responses((status = 200, description = "Ended", body = Ended), Problems)
)]
pub(in super::super) async fn user_sessions_revoke(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let user = find(&state, &user).await?.id;
    let ended = change.tx.sessions_revoke(user, None).await?;
    change.finish(StatusCode::OK, &Ended { ended }).await
}

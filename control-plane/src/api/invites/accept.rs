//! Accepting an invite: with a new account, or with the one that somebody has signed in to.
//!
//! Never does an invite open an account that exists: who made the invite has seen its token too.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::Body;
use super::super::members::Membership;
use super::super::mutation::{Begun, Mutation, answer};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::super::refusal::internal;
use super::super::secret_text::{self, SecretText};
use super::super::session::{Session, begin};
use super::super::stranger::Stranger;
use super::super::tenants::check_display_name;
use super::super::users::User;
use crate::context::ApiState;
use crate::people::tokens;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{InviteRecord, NewUser, SessionMethod};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use tenancy::{Secret, UserId};
use utoipa::ToSchema;

/// An invite to accept with a new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct InviteAccept {
    /// What accepts it.
    #[schema(schema_with = secret_text::schema)]
    token: SecretText,
    /// The new account's name for people.
    #[schema(example = "Ann Smith")]
    display_name: String,
    /// The new account's password: at least 12 characters.
    #[schema(schema_with = secret_text::schema)]
    password: SecretText,
}

/// An invite to accept with the account that one has signed in to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct InviteJoin {
    /// What accepts it.
    #[schema(schema_with = secret_text::schema)]
    token: SecretText,
}

/// What came of an invite that was accepted.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct InviteAccepted {
    /// The new account.
    user: User,
    /// What it is in the tenant.
    membership: Membership,
    /// The session that has begun.
    session: Session,
    /// What shows the session; shown once, in this answer.
    #[schema(example = "tnu_…")]
    token: String,
}

/// Accept an invite with a new account, and sign in to it.
#[utoipa::path(
    post, path = "/v1/invites/accept", tag = "session", request_body = InviteAccept,
    responses((status = 201, description = "Accepted", body = InviteAccepted), Problems)
)]
pub(in super::super) async fn invite_accept(
    State(state): State<ApiState>,
    stranger: Stranger,
    body: Body<InviteAccept>,
) -> ApiResult<Response> {
    let InviteAccept { token, display_name, password } = body.value;
    check_display_name(&display_name)?;
    let invite = open_invite(&state, stranger.address, &token.0).await?;
    if state.catalog.user_by_email(&invite.email).await?.is_some() {
        return Err(ProblemKind::SignInFirst.into());
    }
    let password_hash = Some(state.people.passwords.hash(&password.0).await?);
    let id = UserId::generate();
    let mut tx = state.catalog.begin(&stranger.turned_out_to_be(id)).await?;
    tx.invite_accept(&invite, id).await?;
    let user = tx.user_create(&NewUser { id, email: invite.email, display_name, password_hash }).await?;
    let membership = tx.membership_create(invite.tenant, id, &invite.role).await?;
    let (session, token) = begin(&state, &mut tx, id, SessionMethod::Invite).await?;
    tx.commit().await?;
    let accepted = InviteAccepted {
        user: user.into(),
        membership: membership.into(),
        session: session.into(),
        token: token.expose().to_owned(),
    };
    let body = serde_json::to_value(&accepted).map_err(|error| internal(&error))?;
    Ok(answer(StatusCode::CREATED, &body))
}

/// Accept an invite with one's account. It has to be for one's address.
#[utoipa::path(
    post, path = "/v1/session/invites", tag = "session", request_body = InviteJoin, params(ChangeHeaders),
    responses((status = 201, description = "Accepted", body = Membership), Problems)
)]
pub(in super::super) async fn invite_join(
    State(state): State<ApiState>,
    stranger: Stranger,
    caller: Caller,
    body: Body<InviteJoin>,
) -> ApiResult<Response> {
    let user = caller.signed_in()?.user;
    if let Some(answer) = Mutation::answered(&state, &caller, &body.bytes).await? {
        return Ok(answer);
    }
    let invite = open_invite(&state, stranger.address, &body.value.token.0).await?;
    let joins = state.catalog.user_get(user).await?.ok_or(ProblemKind::UserNotFound)?;
    if joins.email != invite.email {
        return Err(ProblemKind::InviteForAnother.into());
    }
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    change.tx.invite_accept(&invite, user).await?;
    let membership = change.tx.membership_create(invite.tenant, user, &invite.role).await?;
    change.finish(StatusCode::CREATED, &Membership::from(membership)).await
}

/// The invite that a token accepts. Wrong tokens count as failed attempts to sign in.
async fn open_invite(state: &ApiState, address: IpAddr, token: &Secret) -> ApiResult<InviteRecord> {
    let attempt = state.people.attempt(address, None).ok_or(ProblemKind::TooManySignIns)?;
    let found = state.catalog.invite_by_token(&tokens::hash(token)).await;
    if !matches!(found, Ok(None)) {
        state.people.give_back(attempt);
    }
    found?.ok_or_else(|| Problem::from(ProblemKind::InviteNotFound))
}

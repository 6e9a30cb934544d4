//! Accepting an invite: with a new account, or with the one that somebody has signed in to.
//!
//! Never does an invite open an account that exists: who made the invite has seen its token too.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::Body;
use super::super::members::Membership;
use super::super::mutation::{Begun, Mutation, answer};
use super::super::problem::{ApiResult, ProblemKind};
use super::super::refusal::internal;
use super::super::secret_text::{self, SecretText};
use super::super::session::{Session, begin};
use super::super::stranger::Stranger;
use super::super::tenants::check_display_name;
use super::super::users::User;
use crate::context::ApiState;
use crate::people::passwords::Passwords;
use crate::people::{SignIn, tokens};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{InviteRecord, NewUser, SessionMethod, Tx};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use tenancy::{Permission, Secret, UserId};
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
    // First: an answer that depends on whether there is an account is not to be had for nothing.
    Passwords::check_form(&password.0)?;
    let (attempt, invite) = open_invite(&state, stranger.address, &token.0).await?;
    if state.catalog.user_by_email(&invite.email).await?.is_some() {
        return Err(ProblemKind::SignInFirst.into());
    }
    let password_hash = Some(state.people.passwords.hash(&password.0).await?);
    let id = UserId::generate();
    let mut tx = state.catalog.begin(&stranger.turned_out_to_be(id)).await?;
    accept(&mut tx, &invite, id).await?;
    let made_by_invite_of = Some(invite.tenant);
    let new = NewUser { id, email: invite.email, display_name, password_hash, made_by_invite_of };
    let user = tx.user_create(&new).await?;
    let membership = tx.membership_create(invite.tenant, id, &invite.role).await?;
    let (session, token) = begin(&state, &mut tx, id, SessionMethod::Invite).await?;
    tx.commit().await?;
    state.people.give_back(attempt);
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
    let (attempt, invite) = open_invite(&state, stranger.address, &body.value.token.0).await?;
    state.people.give_back(attempt);
    let joins = state.catalog.user_get(user).await?.ok_or(ProblemKind::UserNotFound)?;
    if joins.email != invite.email {
        return Err(ProblemKind::InviteForAnother.into());
    }
    let mut change = match Mutation::begin_in(&state, &caller, &body.bytes, Some(invite.tenant)).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    accept(&mut change.tx, &invite, user).await?;
    let membership = change.tx.membership_create(invite.tenant, user, &invite.role).await?;
    change.finish(StatusCode::CREATED, &Membership::from(membership)).await
}

/// Marks an invite as used, if whoever made it still may give what it gives: nobody leaves themselves a way back in.
async fn accept(tx: &mut Tx, invite: &InviteRecord, user: UserId) -> ApiResult<()> {
    tx.invite_accept(invite, user).await?;
    let may = tx.permissions_of_actor(invite.tenant, &invite.invited_by).await?;
    let gives = invite.role.permissions();
    if may.covers(gives) && may.contains(Permission::MembersManage) {
        return Ok(());
    }
    Err(ProblemKind::InviteNotFound.into())
}

/// The invite that a token accepts, and the attempt that it counts as unless it is given back: of the address, and of the
/// token, so that one invite does not keep all places busy in which passwords are hashed.
async fn open_invite(state: &ApiState, address: IpAddr, token: &Secret) -> ApiResult<(SignIn, InviteRecord)> {
    let attempt = state.people.attempt(address, Some(token.expose())).ok_or(ProblemKind::TooManySignIns)?;
    match state.catalog.invite_by_token(&tokens::hash(token)).await {
        Ok(Some(invite)) => Ok((attempt, invite)),
        Ok(None) => Err(ProblemKind::InviteNotFound.into()),
        Err(error) => {
            state.people.give_back(attempt);
            Err(error.into())
        }
    }
}

//! Invites: offers to join a tenant, each for one address, accepted once and in time.

mod accept;

pub(super) use accept::{__path_invite_accept, __path_invite_join, invite_accept, invite_join};

use super::authority::{Authority, role_named};
use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, Params, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, ProblemKind};
use super::tenants;
use crate::context::ApiState;
use crate::people::tokens;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{InviteRecord, NewInvite};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::{Email, InviteId};
use utoipa::ToSchema;
use uuid::Uuid;

/// An invite, without what accepts it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Invite {
    /// Its id.
    id: Uuid,
    /// Who may accept it.
    #[schema(example = "ann@example.com")]
    email: String,
    /// What they will be in the tenant.
    #[schema(example = "member")]
    role: String,
    /// Who made it.
    invited_by: String,
    /// When it was made.
    created_at: Timestamp,
    /// From when on nobody can accept it.
    expires_at: Timestamp,
    /// When it was accepted.
    accepted_at: Option<Timestamp>,
    /// By whom.
    accepted_by: Option<Uuid>,
    /// When it was withdrawn.
    revoked_at: Option<Timestamp>,
}

impl From<InviteRecord> for Invite {
    fn from(record: InviteRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            email: record.email.into(),
            role: record.role.name().to_owned(),
            invited_by: record.invited_by,
            created_at: record.created_at,
            expires_at: record.expires_at,
            accepted_at: record.accepted_at,
            accepted_by: record.accepted_by.map(tenancy::UserId::as_uuid),
            revoked_at: record.revoked_at,
        }
    }
}

/// Somebody to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteCreate {
    /// Who may accept it.
    #[schema(example = "ann@example.com")]
    email: String,
    /// What they will be in the tenant.
    #[schema(example = "member")]
    role: String,
}

/// An invite with what accepts it.
#[derive(Serialize, ToSchema)]
pub(super) struct InviteCreated {
    /// The invite.
    invite: Invite,
    /// What accepts it; shown once, in this answer. Whoever has it can join.
    #[schema(example = "tni_…")]
    token: String,
    /// The page where it is accepted, with the token in it, if the control plane's configuration names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// Invite somebody. No mail is sent: hand the link on.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/invites", tag = "members", request_body = InviteCreate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Made", body = InviteCreated), Problems)
)]
pub(super) async fn invite_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<InviteCreate>,
) -> ApiResult<Response> {
    let email: Email = field("email", &body.value.email)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let role = role_named(&mut change.tx, tenant, &body.value.role).await?;
    authority.covers(role.permissions())?;
    let tokens::OpaqueToken { token, hash } = tokens::invite()?;
    let lasts = state.people.config.invite();
    let new = NewInvite { id: InviteId::generate(), tenant, email, role, token_hash: hash, lasts };
    let invite = change.tx.invite_create(&new).await?.into();
    let link = state.people.config.invite_link(token.expose());
    let made = InviteCreated { invite, token: token.expose().to_owned(), link };
    change.finish(StatusCode::CREATED, &made).await
}

/// List a tenant's invites, accepted, withdrawn and expired ones too.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/invites", tag = "members",
    params(("tenant" = String, Path, description = "Its id or slug"), PageQuery),
    responses((status = 200, description = "Invites, by age", body = Page<Invite>), Problems)
)]
pub(super) async fn invite_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let tenant = tenants::find(&state, &tenant).await?.id;
    let invites = state.catalog.invites(tenant, &query.page()?).await?;
    shown(&Page::cut(invites, limit, |invite| invite.id.as_uuid(), Invite::from))
}

/// Withdraw an invite that was not accepted. Withdrawing it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/invites/{invite}", tag = "members",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("invite" = Uuid, Path, description = "Its id"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Withdrawn", body = Invite), Problems)
)]
pub(super) async fn invite_revoke(
    State(state): State<ApiState>,
    Named((tenant, invite)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let invite: InviteId = invite.parse().map_err(|_| ProblemKind::InviteNotFound)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let revoked = change.tx.invite_revoke(tenant, invite).await?;
    authority.covers(revoked.role.permissions())?;
    change.finish(StatusCode::OK, &Invite::from(revoked)).await
}

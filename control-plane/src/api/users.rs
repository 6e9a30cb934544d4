//! Users: people who may sign in, apart from what they are in which tenant.

mod change;
mod create;
mod identities;
mod sessions;

pub(super) use change::{__path_user_delete, __path_user_update, user_delete, user_update};
pub(super) use create::{__path_user_create, user_create};
pub(super) use identities::{
    __path_user_identity_add, __path_user_identity_remove, user_identity_add, user_identity_remove,
};
pub(super) use sessions::{
    __path_user_session_list, __path_user_sessions_revoke, user_session_list, user_sessions_revoke,
};

use super::document::Problems;
use super::extract::{Named, Params};
use super::members::Membership;
use super::mutation::shown;
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;
use catalog_schema::{UserIdentity, UserRecord};
use jiff::Timestamp;
use serde::Serialize;
use tenancy::UserId;
use utoipa::ToSchema;
use uuid::Uuid;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// Their id, which they keep for good.
    id: Uuid,
    /// The name that they sign in by.
    #[schema(example = "ann@example.com")]
    email: String,
    /// The name for people.
    #[schema(example = "Ann Smith")]
    display_name: String,
    /// Whether they can sign in by a password.
    has_password: bool,
    /// Who they are at identity providers, whose tokens let them sign in.
    identities: Vec<Identity>,
    /// The tenant whose invite made the account: nobody has vouched then that the address is theirs.
    made_by_invite_of: Option<Uuid>,
    /// Since when nothing lets them in.
    disabled_at: Option<Timestamp>,
    /// Rises with every change; also the `ETag`.
    version: i64,
    /// When they were created.
    created_at: Timestamp,
    /// When they were changed last.
    updated_at: Timestamp,
}

/// Who a user is at an identity provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserIdentity)]
pub(super) struct Identity {
    /// The provider, as its tokens' `iss` has it.
    #[schema(example = "https://login.example.com/")]
    issuer: String,
    /// The user, as its tokens' `sub` has it.
    subject: String,
}

impl From<UserIdentity> for Identity {
    fn from(UserIdentity { issuer, subject }: UserIdentity) -> Self {
        Self { issuer, subject }
    }
}

impl From<UserRecord> for User {
    fn from(record: UserRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            email: record.email.into(),
            display_name: record.display_name,
            has_password: record.has_password,
            identities: record.identities.into_iter().map(Identity::from).collect(),
            made_by_invite_of: record.made_by_invite_of.map(tenancy::TenantId::as_uuid),
            disabled_at: record.disabled_at,
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// List the users.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(PageQuery),
    responses((status = 200, description = "Users, by age", body = Page<User>), Problems)
)]
pub(super) async fn user_list(
    State(state): State<ApiState>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let users = state.catalog.users(&query.page()?).await?;
    shown(&Page::cut(users, limit, |user| user.id.as_uuid(), User::from))
}

/// Show a user.
#[utoipa::path(
    get, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address")),
    responses((status = 200, description = "The user", body = User), Problems)
)]
pub(super) async fn user_get(
    State(state): State<ApiState>,
    Named(user): Named<String>,
) -> ApiResult<Response> {
    shown(&User::from(find(&state, &user).await?))
}

/// List what a user is in which tenants.
#[utoipa::path(
    get, path = "/v1/users/{user}/tenants", tag = "users",
    params(("user" = String, Path, description = "Their id or e-mail address"), PageQuery),
    responses((status = 200, description = "Memberships, by the tenants' age", body = Page<Membership>), Problems)
)]
pub(super) async fn user_tenant_list(
    State(state): State<ApiState>,
    Named(user): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let user = find(&state, &user).await?.id;
    tenants_of(&state, user, &query).await
}

/// What a user is in which tenants, a page of it.
pub(super) async fn tenants_of(state: &ApiState, user: UserId, query: &PageQuery) -> ApiResult<Response> {
    let limit = query.limit()?;
    let memberships = state.catalog.memberships_of(user, &query.page()?).await?;
    shown(&Page::cut(memberships, limit, |membership| membership.tenant.as_uuid(), Membership::from))
}

/// Finds a user by their id or e-mail address.
pub(super) async fn find(state: &ApiState, text: &str) -> ApiResult<UserRecord> {
    let found = match (text.parse::<UserId>(), text.parse()) {
        (Ok(id), _) => state.catalog.user_get(id).await?,
        (Err(_), Ok(email)) => state.catalog.user_by_email(&email).await?,
        (Err(_), Err(_)) => None,
    };
    found.ok_or_else(|| Problem::from(ProblemKind::UserNotFound))
}

/// The same, to give them something. Whoever holds an account that an invite has made need not be whose address it has:
/// nobody is given anything by such an address, only by their id, which somebody has looked up.
pub(super) async fn find_vouched(state: &ApiState, text: &str) -> ApiResult<UserRecord> {
    let found = find(state, text).await?;
    if found.made_by_invite_of.is_some() && text.parse::<UserId>().is_err() {
        let detail =
            format!("an invite has made the account of \"{}\", which is user {}", found.email, found.id);
        return Err(Problem::new(ProblemKind::AddressUnproven).detail(detail));
    }
    Ok(found)
}

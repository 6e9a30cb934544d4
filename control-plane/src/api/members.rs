//! Members: who is what in a tenant. Nobody gives more than they hold, or takes from somebody who holds more.

use super::authority::{Authority, role_named};
use super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::document::Problems;
use super::extract::{Body, Named, Params};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, ProblemKind};
use super::{tenants, users};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::MembershipRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::{Permissions, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a user is in a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Membership {
    /// The tenant.
    tenant: MembersTenant,
    /// The user.
    user: Member,
    /// What the user is there: `owner`, `admin`, `member`, `viewer`, or a role of the tenant's own.
    #[schema(example = "admin")]
    role: String,
    /// What the role permits.
    #[schema(value_type = Vec<String>)]
    permissions: Permissions,
    /// Rises with every change; also the `ETag`.
    version: i64,
    /// When the user joined.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

/// A tenant, as its members are told of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MembersTenant {
    /// Its id.
    id: Uuid,
    /// The name in addresses.
    slug: String,
    /// The name for people.
    display_name: String,
}

/// A user, as the other members of a tenant are told of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Member {
    /// Their id.
    id: Uuid,
    /// The name that they sign in by.
    email: String,
    /// The name for people.
    display_name: String,
    /// Whether nothing lets them in.
    disabled: bool,
}

impl From<MembershipRecord> for Membership {
    fn from(record: MembershipRecord) -> Self {
        Self {
            role: record.role.name().to_owned(),
            permissions: record.role.permissions(),
            tenant: MembersTenant {
                id: record.tenant.as_uuid(),
                slug: record.slug.into(),
                display_name: record.tenant_name,
            },
            user: Member {
                id: record.user.as_uuid(),
                email: record.email.into(),
                display_name: record.display_name,
                disabled: record.disabled,
            },
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// A user to make a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberAdd {
    /// The user's id, or e-mail address if no invite has made the account.
    user: String,
    /// What the user will be.
    role: String,
}

/// What a member is to be instead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberUpdate {
    /// The other role.
    role: String,
}

/// Make a user a member, without asking them. Whoever is not the operator invites.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/members", tag = "members", request_body = MemberAdd,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Added", body = Membership), Problems)
)]
pub(super) async fn member_add(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<MemberAdd>,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let user = users::find_vouched(&state, &body.value.user).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let role = role_named(&mut change.tx, tenant, &body.value.role).await?;
    authority.covers(role.permissions())?;
    let membership = change.tx.membership_create(tenant, user, &role).await?;
    change.finish(StatusCode::CREATED, &Membership::from(membership)).await
}

/// List a tenant's members.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/members", tag = "members",
    params(("tenant" = String, Path, description = "Its id or slug"), PageQuery),
    responses((status = 200, description = "Members, by the age of their accounts", body = Page<Membership>), Problems)
)]
pub(super) async fn member_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let limit = query.limit()?;
    let tenant = tenants::find(&state, &tenant).await?.id;
    let members = state.catalog.members(tenant, &query.page()?).await?;
    shown(&Page::cut(members, limit, |member| member.user.as_uuid(), Membership::from))
}

/// Show a member.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("user" = Uuid, Path, description = "The user's id")
    ),
    responses((status = 200, description = "The member", body = Membership), Problems)
)]
pub(super) async fn member_get(
    State(state): State<ApiState>,
    Named((tenant, user)): Named<(String, String)>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?.id;
    let found = state.catalog.membership_get(tenant, named(&user)?).await?;
    shown(&Membership::from(found.ok_or(ProblemKind::MemberNotFound)?))
}

/// Give a member another role. Gateways refuse the member's older tokens within a second.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/members/{user}", tag = "members", request_body = MemberUpdate,
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("user" = Uuid, Path, description = "The user's id"),
        ChangeHeaders,
        ConditionHeaders
    ),
    responses((status = 200, description = "Changed", body = Membership), Problems)
)]
pub(super) async fn member_update(
    State(state): State<ApiState>,
    Named((tenant, user)): Named<(String, String)>,
    caller: Caller,
    body: Body<MemberUpdate>,
) -> ApiResult<Response> {
    let user = named(&user)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let before = change.tx.membership_read(tenant, user).await?;
    authority.covers(before.role.permissions())?;
    let role = role_named(&mut change.tx, tenant, &body.value.role).await?;
    authority.covers(role.permissions())?;
    let changed = change.tx.membership_update(tenant, user, &role, caller.expected_version).await?;
    change.finish(StatusCode::OK, &Membership::from(changed)).await
}

/// End a membership. Gateways refuse the member's tokens within a second. The last owner stays.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/members/{user}", tag = "members",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("user" = Uuid, Path, description = "The user's id"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Ended", body = Membership), Problems)
)]
pub(super) async fn member_remove(
    State(state): State<ApiState>,
    Named((tenant, user)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let user = named(&user)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let before = change.tx.membership_read(tenant, user).await?;
    authority.covers(before.role.permissions())?;
    let ended = change.tx.membership_delete(tenant, user).await?;
    change.finish(StatusCode::OK, &Membership::from(ended)).await
}

fn named(user: &str) -> ApiResult<UserId> {
    user.parse().map_err(|_| ProblemKind::MemberNotFound.into())
}

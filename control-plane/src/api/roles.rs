//! Roles: those that every tenant has, and a tenant's own. Nobody makes one that permits more than they hold.

use super::authority::Authority;
use super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::{tenants, words};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::CustomRoleRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::{CustomRole, CustomRoleId, CustomRoleName, Permission, Permissions, Role};
use utoipa::ToSchema;

/// A role that members of a tenant may have.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberRole {
    /// Its name.
    #[schema(example = "support")]
    name: String,
    /// Whether every tenant has it. Such a role does not change.
    built_in: bool,
    /// What it permits.
    #[schema(value_type = Vec<String>)]
    permissions: Permissions,
    /// Rises with every change; also the `ETag`. None of a role that every tenant has.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

impl From<Role> for MemberRole {
    fn from(role: Role) -> Self {
        Self {
            name: role.as_str().to_owned(),
            built_in: true,
            permissions: role.permissions(),
            version: None,
            created_at: None,
            updated_at: None,
        }
    }
}

impl From<CustomRoleRecord> for MemberRole {
    fn from(record: CustomRoleRecord) -> Self {
        Self {
            name: record.role.name.into(),
            built_in: false,
            permissions: record.role.permissions,
            version: Some(record.version),
            created_at: Some(record.created_at),
            updated_at: Some(record.updated_at),
        }
    }
}

/// A role to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleCreate {
    /// Its name: lower-case letters, digits and single hyphens.
    #[schema(example = "support")]
    name: String,
    /// What it permits.
    #[schema(schema_with = words::permissions)]
    permissions: Vec<String>,
}

/// What of a role is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleUpdate {
    /// Another name.
    name: Option<String>,
    /// What it permits instead.
    #[schema(schema_with = words::permissions)]
    permissions: Option<Vec<String>>,
}

/// Make a role of the tenant's own.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/roles", tag = "members", request_body = RoleCreate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Made", body = MemberRole), Problems)
)]
pub(super) async fn role_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<RoleCreate>,
) -> ApiResult<Response> {
    let name = field("name", &body.value.name)?;
    let permissions = checked(&body.value.permissions)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    Authority::of(&caller, &mut change.tx, tenant).await?.covers(permissions)?;
    let role = CustomRole { id: CustomRoleId::generate(), name, permissions };
    let made = change.tx.custom_role_create(tenant, &role).await?;
    change.finish(StatusCode::CREATED, &MemberRole::from(made)).await
}

/// List the roles that a tenant's members may have.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/roles", tag = "members",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "Those of every tenant, then its own by name", body = Page<MemberRole>), Problems)
)]
pub(super) async fn role_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?.id;
    let own = state.catalog.custom_roles(tenant).await?;
    let built_in = Role::ALL.into_iter().map(MemberRole::from);
    shown(&Page::whole(built_in.chain(own.into_iter().map(MemberRole::from)).collect()))
}

/// Change a role of the tenant's own, for all who have it. Gateways refuse their older tokens within a second.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/roles/{role}", tag = "members", request_body = RoleUpdate,
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("role" = String, Path, description = "Its name"),
        ChangeHeaders,
        ConditionHeaders
    ),
    responses((status = 200, description = "Changed", body = MemberRole), Problems)
)]
pub(super) async fn role_update(
    State(state): State<ApiState>,
    Named((tenant, role)): Named<(String, String)>,
    caller: Caller,
    body: Body<RoleUpdate>,
) -> ApiResult<Response> {
    let role = named(&role)?;
    let name = body.value.name.as_deref().map(|name| field("name", name)).transpose()?;
    let permissions = body.value.permissions.as_deref().map(checked).transpose()?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let before = change.tx.custom_role_named(tenant, &role).await?.role;
    let after = CustomRole {
        id: before.id,
        name: name.unwrap_or(before.name),
        permissions: permissions.unwrap_or(before.permissions),
    };
    authority.covers(before.permissions)?;
    authority.covers(after.permissions)?;
    let changed = change.tx.custom_role_update(tenant, &after, caller.expected_version).await?;
    change.finish(StatusCode::OK, &MemberRole::from(changed)).await
}

/// Remove a role of the tenant's own that nobody has or is invited to.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/roles/{role}", tag = "members",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("role" = String, Path, description = "Its name"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Removed", body = MemberRole), Problems)
)]
pub(super) async fn role_delete(
    State(state): State<ApiState>,
    Named((tenant, role)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let role = named(&role)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?.id;
    let authority = Authority::of(&caller, &mut change.tx, tenant).await?;
    let before = change.tx.custom_role_named(tenant, &role).await?;
    authority.covers(before.role.permissions)?;
    change.tx.custom_role_delete(tenant, &before.role).await?;
    change.finish(StatusCode::OK, &MemberRole::from(before)).await
}

fn named(role: &str) -> ApiResult<CustomRoleName> {
    role.parse().map_err(|_| ProblemKind::RoleNotFound.into())
}

fn checked(words: &[String]) -> ApiResult<Permissions> {
    let each = words.iter().map(|word| field::<Permission>("permissions", word));
    let permissions: Permissions = each.collect::<ApiResult<_>>()?;
    let invalid =
        |detail: String| Problem::new(ProblemKind::InvalidField).detail(detail).field("permissions");
    if permissions.is_empty() {
        return Err(invalid("a role permits something".to_owned()));
    }
    match permissions.lacking() {
        Some(missing) => Err(invalid(format!("what is permitted includes {missing}, so name it too"))),
        None => Ok(permissions),
    }
}

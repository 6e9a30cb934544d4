//! What a caller may give to others in a tenant, or take from them: never more than they hold themselves.
//!
//! Read in the transaction that gives, with the tenant locked: whoever is being demoted meanwhile gives nothing away by
//! being fast.

use super::auth::Principal;
use super::caller::Caller;
use super::extract::field;
use super::problem::{ApiResult, Problem, ProblemKind};
use catalog_schema::{CatalogError, Tx};
use tenancy::{CustomRoleName, MemberRole, Permission, Permissions, Role, TenantId, TenantState};

/// What a caller holds in a tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority(Permissions);

impl Authority {
    /// Locks the tenant, which must be there to stay.
    pub(super) async fn of(caller: &Caller, tx: &mut Tx, tenant: TenantId) -> ApiResult<Self> {
        let state = tx.lock_tenant(tenant).await?.state;
        if matches!(state, TenantState::Purging | TenantState::Deleted) {
            let detail = format!("a tenant that is {state} has no people");
            return Err(Problem::new(ProblemKind::TenantState).detail(detail));
        }
        let Principal::User(signed_in) = &caller.principal else {
            let held = caller.principal.permissions_in(tenant).ok_or(ProblemKind::TenantNotFound)?;
            return Ok(Self(held));
        };
        match tx.membership_read(tenant, signed_in.user).await {
            Ok(membership) => Ok(Self(membership.role.permissions())),
            Err(CatalogError::NotFound { .. }) => Err(ProblemKind::TenantNotFound.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses who does not hold all of these.
    pub(super) fn covers(self, permissions: Permissions) -> ApiResult<()> {
        if self.0.covers(permissions) {
            return Ok(());
        }
        let missing: Vec<_> =
            permissions.iter().filter(|one| !self.0.contains(*one)).map(Permission::as_str).collect();
        let detail = format!("this is about {}, which you do not hold", missing.join(", "));
        Err(Problem::new(ProblemKind::Forbidden).detail(detail))
    }
}

/// The role that people of a tenant call `text`.
pub(super) async fn role_named(tx: &mut Tx, tenant: TenantId, text: &str) -> ApiResult<MemberRole> {
    if let Ok(role) = text.parse::<Role>() {
        return Ok(MemberRole::BuiltIn(role));
    }
    let name: CustomRoleName = field("role", text)?;
    match tx.custom_role_named(tenant, &name).await {
        Ok(found) => Ok(MemberRole::Custom(found.role)),
        Err(CatalogError::NotFound { .. }) => Err(Problem::new(ProblemKind::RoleUnknown)
            .detail(format!("the tenant has no role \"{name}\""))
            .field("role")),
        Err(error) => Err(error.into()),
    }
}

//! Roles of a tenant's own. A role that somebody has, or is invited to, is not removed.

use crate::error::CatalogError;
use crate::read::roles::{CustomRoleRecord, custom_role_of_row};
use crate::row::Columns;
use crate::sql::{bigint, text, texts, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::{CustomRole, CustomRoleName, MemberRole, Permissions, TenantId};
use uuid::Uuid;

/// Roles of its own that a tenant may have: people have to choose among them.
pub const CUSTOM_ROLES_MAX: u32 = 100;

impl Tx {
    /// Adds a role to a tenant.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, [`CatalogError::LimitReached`],
    /// [`CatalogError::Conflict`] when it has a role of this name, or when the catalog is unavailable.
    pub async fn custom_role_create(
        &mut self,
        tenant: TenantId,
        role: &CustomRole,
    ) -> Result<CustomRoleRecord, CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        let count = "select count(*) as roles from catalog.custom_roles where tenant_id = $1";
        let row = self.row(count, &[uuid(tenant.as_uuid())]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("roles"))? >= CUSTOM_ROLES_MAX {
            return Err(CatalogError::LimitReached { what: "roles of this tenant", max: CUSTOM_ROLES_MAX });
        }
        let words = words(role.permissions);
        let sql = "insert into catalog.custom_roles (id, tenant_id, name, permissions)
                   values ($1, $2, $3, $4) returning *";
        let args = [uuid(role.id.as_uuid()), uuid(tenant.as_uuid()), text(role.name.as_str()), texts(&words)];
        let row = self.row(sql, &args).await?;
        let detail = json!({ "role": role.id, "name": role.name, "permissions": role.permissions });
        self.audit("role.create", Some(tenant), living.slug.as_str(), detail);
        custom_role_of_row(&row.ok_or(CatalogError::NotFound { what: "role" })?)
    }

    /// Changes what a role is called or what it permits, if it still is at `expected_version`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::StaleVersion`], [`CatalogError::Conflict`] when the tenant has
    /// another role of this name, or when the catalog is unavailable.
    pub async fn custom_role_update(
        &mut self,
        tenant: TenantId,
        role: &CustomRole,
        expected_version: Option<i64>,
    ) -> Result<CustomRoleRecord, CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        let words = words(role.permissions);
        let sql = "update catalog.custom_roles set name = $3, permissions = $4
                   where tenant_id = $1 and id = $2 and ($5::bigint is null or version = $5) returning *";
        let args = [
            uuid(tenant.as_uuid()),
            uuid(role.id.as_uuid()),
            text(role.name.as_str()),
            texts(&words),
            bigint(expected_version),
        ];
        let Some(row) = self.row(sql, &args).await? else {
            let standing = self.custom_role_by_id(tenant, role.id.as_uuid()).await?;
            return Err(CatalogError::StaleVersion { current: standing.version });
        };
        let detail = json!({ "role": role.id, "name": role.name, "permissions": role.permissions });
        self.audit("role.update", Some(tenant), living.slug.as_str(), detail);
        custom_role_of_row(&row)
    }

    /// Removes a role.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::Refused`] while somebody has it or is invited to it, or when the
    /// catalog is unavailable.
    pub async fn custom_role_delete(
        &mut self,
        tenant: TenantId,
        role: &CustomRole,
    ) -> Result<(), CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        // Invites that lead nowhere any more need no role.
        let dead = "delete from catalog.invites where tenant_id = $1 and custom_role = $2
                    and (accepted_at is not null or revoked_at is not null or expires_at <= now())";
        let args = [uuid(tenant.as_uuid()), uuid(role.id.as_uuid())];
        self.execute(dead, &args).await?;
        let sql = "delete from catalog.custom_roles where tenant_id = $1 and id = $2";
        if self.execute(sql, &args).await? == 0 {
            return Err(CatalogError::NotFound { what: "role" });
        }
        let detail = json!({ "role": role.id, "name": role.name });
        self.audit("role.delete", Some(tenant), living.slug.as_str(), detail);
        Ok(())
    }

    /// The role that a tenant's people call `name`. It stays as it is until the end of the transaction.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn custom_role_named(
        &mut self,
        tenant: TenantId,
        name: &CustomRoleName,
    ) -> Result<CustomRoleRecord, CatalogError> {
        let sql = "select * from catalog.custom_roles where tenant_id = $1 and name = $2 for no key update";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(name.as_str())]).await?;
        custom_role_of_row(&row.ok_or(CatalogError::NotFound { what: "role" })?)
    }

    async fn custom_role_by_id(
        &mut self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<CustomRoleRecord, CatalogError> {
        let sql = "select * from catalog.custom_roles where tenant_id = $1 and id = $2";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), uuid(id)]).await?;
        custom_role_of_row(&row.ok_or(CatalogError::NotFound { what: "role" })?)
    }
}

fn words(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(tenancy::Permission::as_str).collect()
}

/// The two columns that hold a role: its word, or the tenant's own.
pub(crate) fn role_columns(role: &MemberRole) -> (Option<&'static str>, Option<Uuid>) {
    match role {
        MemberRole::BuiltIn(role) => (Some(role.as_str()), None),
        MemberRole::Custom(custom) => (None, Some(custom.id.as_uuid())),
    }
}

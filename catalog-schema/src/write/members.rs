//! Memberships. Whoever changes one locks the tenant first, so that what is checked of the tenant's people holds until
//! the end of the transaction. That the last owner stays, and that older gateway tokens are refused, the catalog sees
//! to itself.

use crate::error::CatalogError;
use crate::read::members::{MembershipRecord, membership, membership_of_row};
use crate::row::Columns;
use crate::sql::{text, uuid};
use crate::tx::Tx;
use crate::write::roles::role_columns;
use serde_json::json;
use tenancy::{MemberRole, TenantId, UserId};

/// Members that a tenant may have.
pub const MEMBERS_MAX: u32 = 10_000;

/// Tenants that a user may belong to: all are looked at with each of their requests.
pub const MEMBERSHIPS_MAX: u32 = 1_000;

impl Tx {
    /// Makes a user a member of a tenant.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such user or living tenant, [`CatalogError::LimitReached`],
    /// [`CatalogError::Conflict`] when the user is a member already, or when the catalog is unavailable.
    pub async fn membership_create(
        &mut self,
        tenant: TenantId,
        user: UserId,
        role: &MemberRole,
    ) -> Result<MembershipRecord, CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        let email = self.keep_user(user).await?;
        self.room_for_membership(tenant, user).await?;
        let (word, custom) = role_columns(role);
        let sql =
            "insert into catalog.memberships (tenant_id, user_id, role, custom_role) values ($1, $2, $3, $4)";
        self.execute(sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid()), text(word), uuid(custom)]).await?;
        let detail = json!({ "user": user, "email": email, "role": role.name() });
        self.audit("member.add", Some(tenant), living.slug.as_str(), detail);
        self.membership_read(tenant, user).await
    }

    /// Gives a member another role, if the membership still is at `expected_version`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::StaleVersion`], [`CatalogError::Refused`] when no owner would be left,
    /// or when the catalog is unavailable.
    pub async fn membership_update(
        &mut self,
        tenant: TenantId,
        user: UserId,
        role: &MemberRole,
        expected_version: Option<i64>,
    ) -> Result<MembershipRecord, CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        let before = self.membership_read(tenant, user).await?;
        if expected_version.is_some_and(|expected| expected != before.version) {
            return Err(CatalogError::StaleVersion { current: before.version });
        }
        self.keep_user(user).await?;
        let (word, custom) = role_columns(role);
        let sql = "update catalog.memberships set role = $3, custom_role = $4 where tenant_id = $1 and user_id = $2";
        self.execute(sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid()), text(word), uuid(custom)]).await?;
        let detail = json!({ "user": user, "from": before.role.name(), "to": role.name() });
        self.audit("member.update", Some(tenant), living.slug.as_str(), detail);
        self.membership_read(tenant, user).await
    }

    /// Ends a membership.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::Refused`] when no owner would be left, or when the catalog is
    /// unavailable.
    pub async fn membership_delete(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<MembershipRecord, CatalogError> {
        let living = self.lock_living_tenant(tenant).await?;
        let before = self.membership_read(tenant, user).await?;
        let sql = "delete from catalog.memberships where tenant_id = $1 and user_id = $2";
        self.execute(sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid())]).await?;
        let detail = json!({ "user": user, "email": before.email, "role": before.role.name() });
        self.audit("member.remove", Some(tenant), living.slug.as_str(), detail);
        Ok(before)
    }

    /// A membership, as this transaction sees it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn membership_read(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<MembershipRecord, CatalogError> {
        let sql = format!("{} where h.tenant_id = $1 and h.user_id = $2", membership());
        let row = self.row(&sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid())]).await?;
        membership_of_row(&row.ok_or(CatalogError::NotFound { what: "member" })?)
    }

    async fn room_for_membership(&mut self, tenant: TenantId, user: UserId) -> Result<(), CatalogError> {
        let sql = "select (select count(*) from catalog.memberships where tenant_id = $1) as members,
                     (select count(*) from catalog.memberships where user_id = $2) as memberships";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid())]).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("members", "an aggregate has one row"))?;
        if row.number::<u32>("members")? >= MEMBERS_MAX {
            return Err(CatalogError::LimitReached { what: "members of this tenant", max: MEMBERS_MAX });
        }
        if row.number::<u32>("memberships")? >= MEMBERSHIPS_MAX {
            return Err(CatalogError::LimitReached { what: "tenants of this user", max: MEMBERSHIPS_MAX });
        }
        Ok(())
    }

    /// Removes all that a deleted tenant knew of people: who was what in it, and who was invited.
    pub(crate) async fn people_delete(&mut self, tenant: TenantId) -> Result<(), CatalogError> {
        for table in ["session_tenants", "invites", "memberships", "custom_roles", "token_revocations"] {
            let sql = format!("delete from catalog.{table} where tenant_id = $1");
            self.execute(&sql, &[uuid(tenant.as_uuid())]).await?;
        }
        Ok(())
    }
}

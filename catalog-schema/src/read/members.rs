//! Memberships: who is what in which tenant.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::roles::{ROLE_COLUMNS, ROLE_JOIN, role_of_row};
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use jiff::Timestamp;
use tenancy::{Email, MemberRole, Slug, TenantId, TenantState, UserId};
use tokio_postgres::Row;

/// A user in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipRecord {
    /// Where.
    pub tenant: TenantId,
    /// The tenant's name in addresses.
    pub slug: Slug,
    /// The tenant's name for people.
    pub tenant_name: String,
    /// The tenant's state.
    pub tenant_state: TenantState,
    /// Who.
    pub user: UserId,
    /// The user's address.
    pub email: Email,
    /// The user's name for people.
    pub display_name: String,
    /// Whether nothing lets the user in.
    pub disabled: bool,
    /// What the user is there.
    pub role: MemberRole,
    /// Rises with every change.
    pub version: i64,
    /// When the user joined.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

pub(crate) fn membership() -> String {
    format!(
        "select h.tenant_id, t.slug, t.display_name as tenant_name, t.state as tenant_state, h.user_id, u.email,
           u.display_name, u.disabled_at is not null as disabled, {ROLE_COLUMNS}, h.version, h.created_at, h.updated_at
         from catalog.memberships h join catalog.users u on u.id = h.user_id join catalog.tenants t on t.id = h.tenant_id
         {ROLE_JOIN}"
    )
}

impl Catalog {
    /// A tenant's members by the age of their accounts, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn members(
        &self,
        tenant: TenantId,
        page: &Page<UserId>,
    ) -> Result<Vec<MembershipRecord>, CatalogError> {
        let sql = format!(
            "{} where h.tenant_id = $1 and ($2::uuid is null or h.user_id > $2) order by h.user_id limit $3",
            membership()
        );
        let args = [uuid(tenant.as_uuid()), uuid(page.after.map(UserId::as_uuid)), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(membership_of_row).collect()
    }

    /// What a user is in which tenants, by the tenants' age, a page at a time. Deleted tenants have no members.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn memberships_of(
        &self,
        user: UserId,
        page: &Page<TenantId>,
    ) -> Result<Vec<MembershipRecord>, CatalogError> {
        let sql = format!(
            "{} where h.user_id = $1 and ($2::uuid is null or h.tenant_id > $2) order by h.tenant_id limit $3",
            membership()
        );
        let args = [uuid(user.as_uuid()), uuid(page.after.map(TenantId::as_uuid)), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(membership_of_row).collect()
    }

    /// What a user is in a tenant.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn membership_get(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Option<MembershipRecord>, CatalogError> {
        let sql = format!("{} where h.tenant_id = $1 and h.user_id = $2", membership());
        let row = self.row(&sql, &[uuid(tenant.as_uuid()), uuid(user.as_uuid())]).await?;
        row.as_ref().map(membership_of_row).transpose()
    }
}

pub(crate) fn membership_of_row(row: &Row) -> Result<MembershipRecord, CatalogError> {
    Ok(MembershipRecord {
        tenant: row.id("tenant_id")?,
        slug: row.word("slug")?,
        tenant_name: row.value("tenant_name")?,
        tenant_state: row.word("tenant_state")?,
        user: row.id("user_id")?,
        email: row.word("email")?,
        display_name: row.value("display_name")?,
        disabled: row.value("disabled")?,
        role: role_of_row(row)?,
        version: row.value("version")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}

//! Roles of a tenant's own.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::uuid;
use jiff::Timestamp;
use tenancy::{CustomRole, MemberRole, Permission, Role, TenantId};
use tokio_postgres::Row;

/// A role of a tenant's own, with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRoleRecord {
    /// The role.
    pub role: CustomRole,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// The columns that [`role_of_row`] reads, for a statement that joins a row `h` with a role to `r`, its custom role.
pub(crate) const ROLE_COLUMNS: &str =
    "h.role, r.id as custom_role_id, r.name as custom_role_name, r.permissions as custom_role_permissions";

/// The join that goes with [`ROLE_COLUMNS`].
pub(crate) const ROLE_JOIN: &str = "left join catalog.custom_roles r on r.id = h.custom_role";

impl Catalog {
    /// A tenant's own roles, by name. There are few.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn custom_roles(&self, tenant: TenantId) -> Result<Vec<CustomRoleRecord>, CatalogError> {
        let sql = "select * from catalog.custom_roles where tenant_id = $1 order by name";
        self.rows(sql, &[uuid(tenant.as_uuid())]).await?.iter().map(custom_role_of_row).collect()
    }
}

pub(crate) fn custom_role_of_row(row: &Row) -> Result<CustomRoleRecord, CatalogError> {
    let role = CustomRole {
        id: row.id("id")?,
        name: row.word("name")?,
        permissions: row.words::<Permission>("permissions")?.into_iter().collect(),
    };
    Ok(CustomRoleRecord {
        role,
        version: row.value("version")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}

/// What a row with [`ROLE_COLUMNS`] says.
pub(crate) fn role_of_row(row: &Row) -> Result<MemberRole, CatalogError> {
    if let Some(role) = row.word_opt::<Role>("role")? {
        return Ok(MemberRole::BuiltIn(role));
    }
    Ok(MemberRole::Custom(CustomRole {
        id: row.id("custom_role_id")?,
        name: row.word("custom_role_name")?,
        permissions: row.words::<Permission>("custom_role_permissions")?.into_iter().collect(),
    }))
}

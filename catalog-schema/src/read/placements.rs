//! Where tenants' data is, and the ledger of every physical name that was ever given out.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::access_roles::AccessRole;
use crate::read::logins::open_keys;
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use jiff::Timestamp;
use pgwire::scram::ClientKeys;
use std::fmt;
use std::str::FromStr;
use tenancy::{Access, ClusterId, DatabaseName, RoleName, TenantId};
use tokio_postgres::Row;

/// The place of one tenant's data.
#[derive(Debug, Clone)]
pub struct PlacementDetail {
    /// Whose.
    pub tenant: TenantId,
    /// On which server.
    pub cluster: ClusterId,
    /// In which database.
    pub database: DatabaseName,
    /// The database's oid, once it is known.
    pub database_oid: Option<u32>,
    /// Owned by which role.
    pub role: RoleName,
    /// What logs in as the role, opened; none while it has a password of an older release.
    pub keys: Option<ClientKeys>,
    /// The login roles beside the owner's, those too that are still being made.
    pub access_roles: Vec<AccessRole>,
}

/// How many placements without keys are listed at once.
const WITHOUT_KEYS_MAX: i64 = 500;

/// What a physical name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A database.
    Database,
    /// A role.
    Role,
}

impl NameKind {
    /// The word in the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Role => "role",
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NameKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Database, Self::Role]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is not a kind of physical name"))
    }
}

/// One line of the ledger. It is never removed and its name never given out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalName {
    /// What it names.
    pub kind: NameKind,
    /// The name.
    pub name: String,
    /// On which server.
    pub cluster: ClusterId,
    /// For whom.
    pub tenant: TenantId,
    /// The oid of what was made under it. Nothing is dropped whose oid is not here.
    pub oid: Option<u32>,
    /// When it was given out.
    pub created_at: Timestamp,
    /// When what it named was proved to be gone.
    pub dropped_at: Option<Timestamp>,
}

impl Catalog {
    /// The place of a tenant's data.
    ///
    /// # Errors
    /// When the catalog is unavailable, or the secret cannot be opened.
    pub async fn placement_get(&self, tenant: TenantId) -> Result<Option<PlacementDetail>, CatalogError> {
        let sql = "select * from catalog.placements where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Option<Vec<u8>> = row.value("keys")?;
        Ok(Some(PlacementDetail {
            tenant,
            cluster: row.id("cluster_id")?,
            database: row.word("database_name")?,
            database_oid: row.number_opt("database_oid")?,
            role: row.word("role_name")?,
            keys: sealed.map(|sealed| open_keys(self.key(), tenant, Access::Owner, &sealed)).transpose()?,
            access_roles: self.access_roles_of(tenant).await?,
        }))
    }

    /// Tenants whose roles have no keys yet, a bounded number of them.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn placements_without_keys(&self) -> Result<Vec<TenantId>, CatalogError> {
        let sql = "select tenant_id from catalog.placements where keys is null order by tenant_id limit $1";
        let rows = self.rows(sql, &[bigint(WITHOUT_KEYS_MAX)]).await?;
        rows.iter().map(|row| row.id("tenant_id")).collect()
    }

    /// Every physical name that was ever given out for a tenant, the oldest first.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn physical_names(&self, tenant: TenantId) -> Result<Vec<PhysicalName>, CatalogError> {
        let sql = "select * from catalog.physical_names where tenant_id = $1 order by created_at, kind, name";
        let rows = self.rows(sql, &[uuid(tenant.as_uuid())]).await?;
        rows.iter().map(name_of_row).collect()
    }
}

fn name_of_row(row: &Row) -> Result<PhysicalName, CatalogError> {
    Ok(PhysicalName {
        kind: row.word("kind")?,
        name: row.value("name")?,
        cluster: row.id("cluster_id")?,
        tenant: row.id("tenant_id")?,
        oid: row.number_opt("oid")?,
        created_at: row.value("created_at")?,
        dropped_at: row.value("dropped_at")?,
    })
}

//! Service credentials: programs of the installation that act for tenants which their requests name.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use jiff::Timestamp;
use tenancy::{Role, ServiceId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

/// A service credential as a gateway sees it.
#[derive(Clone)]
pub struct ServiceRecord {
    /// Which.
    pub id: ServiceId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// What it may do in a tenant that it acts for.
    pub role: Role,
    /// The tenants that it may act for; none for every one.
    pub tenants: Option<Vec<TenantId>>,
    /// From when on it opens nothing.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for ServiceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceRecord({})", self.id)
    }
}

impl ServiceRecord {
    /// May it act for this tenant?
    #[must_use]
    pub fn acts_for(&self, tenant: TenantId) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(&tenant))
    }
}

/// A service credential as people see it, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDetail {
    /// Which.
    pub id: ServiceId,
    /// What people call it.
    pub name: String,
    /// The key's first characters.
    pub key_prefix: String,
    /// What it may do in a tenant that it acts for.
    pub role: Role,
    /// The tenants that it may act for; none for every one.
    pub tenants: Option<Vec<TenantId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

/// All that are live.
pub(crate) const SERVICES_LIVE: &str = "select id, name, key_hash, role, tenants, expires_at
  from catalog.service_credentials where revoked_at is null and expires_at > now() order by id";

impl Catalog {
    /// Service credentials by age, revoked and expired ones too, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn services(&self, page: &Page<ServiceId>) -> Result<Vec<ServiceDetail>, CatalogError> {
        let sql = "select * from catalog.service_credentials
                   where $1::uuid is null or id > $1 order by id limit $2";
        let after = page.after.map(ServiceId::as_uuid);
        let rows = self.rows(sql, &[uuid(after), bigint(page.limit())]).await?;
        rows.iter().map(service_of_row).collect()
    }
}

pub(crate) fn service_record_of_row(row: &Row) -> Result<ServiceRecord, CatalogError> {
    let hash: Vec<u8> = row.value("key_hash")?;
    Ok(ServiceRecord {
        id: row.id("id")?,
        name: row.value("name")?,
        hash: hash.try_into().map_err(|_| CatalogError::corrupt("key_hash", "it is not 32 bytes"))?,
        role: row.word("role")?,
        tenants: tenants_of_row(row)?,
        expires_at: row.value("expires_at")?,
    })
}

pub(crate) fn service_of_row(row: &Row) -> Result<ServiceDetail, CatalogError> {
    Ok(ServiceDetail {
        id: row.id("id")?,
        name: row.value("name")?,
        key_prefix: row.value("key_prefix")?,
        role: row.word("role")?,
        tenants: tenants_of_row(row)?,
        created_at: row.value("created_at")?,
        expires_at: row.value("expires_at")?,
        revoked_at: row.value("revoked_at")?,
        last_used_at: row.value("last_used_at")?,
    })
}

fn tenants_of_row(row: &Row) -> Result<Option<Vec<TenantId>>, CatalogError> {
    let tenants: Option<Vec<Uuid>> = row.value("tenants")?;
    Ok(tenants.map(|tenants| tenants.into_iter().map(TenantId::from).collect()))
}

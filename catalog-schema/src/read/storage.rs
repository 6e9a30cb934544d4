//! What tenants' databases take.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::uuid;
use jiff::Timestamp;
use tenancy::TenantId;

/// What a tenant's database takes, as it was measured last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageUse {
    /// Bytes; none while it was never measured.
    pub bytes: Option<u64>,
    /// What it took when it was sealed, in bytes; none while it is not.
    pub sealed_bytes: Option<u64>,
    /// When that was.
    pub measured_at: Option<Timestamp>,
}

impl Catalog {
    /// What a tenant's database takes.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn storage_use(&self, tenant: TenantId) -> Result<StorageUse, CatalogError> {
        let sql = "select bytes, sealed_bytes, measured_at from catalog.storage_use where tenant_id = $1";
        let Some(row) = self.row(sql, &[uuid(tenant.as_uuid())]).await? else {
            return Ok(StorageUse::default());
        };
        Ok(StorageUse {
            bytes: row.number_opt("bytes")?,
            sealed_bytes: row.number_opt("sealed_bytes")?,
            measured_at: row.value("measured_at")?,
        })
    }
}

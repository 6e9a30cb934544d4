//! What is left of a purged tenant.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::uuid;
use jiff::Timestamp;
use serde_json::Value;
use tenancy::{Slug, TenantId};

/// The proof that a tenant is gone. Replayed over restored backups, so that the dead stay dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TombstoneRecord {
    /// Who.
    pub tenant: TenantId,
    /// The name it had last.
    pub slug: Slug,
    /// What was removed and how that was proved.
    pub evidence: Value,
    /// When.
    pub purged_at: Timestamp,
}

impl Catalog {
    /// A purged tenant's tombstone.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tombstone_get(&self, tenant: TenantId) -> Result<Option<TombstoneRecord>, CatalogError> {
        let sql = "select * from catalog.tombstones where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        row.map(|row| {
            Ok(TombstoneRecord {
                tenant,
                slug: row.word("slug")?,
                evidence: row.value("evidence")?,
                purged_at: row.value("purged_at")?,
            })
        })
        .transpose()
    }
}

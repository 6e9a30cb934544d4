//! From where tenants may be reached.

use crate::error::CatalogError;
use crate::read::tenants::TenantRecord;
use crate::sql::{texts, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::{AddressRange, TenantId};

/// A tenant's list is part of its route, and looked through for each of its clients: it may not have more ranges.
pub const ALLOW_LIST_MAX: u32 = 256;

impl Tx {
    /// Sets from where a tenant may be reached, in place of what was set before; an empty list stands for everywhere.
    /// Doubled ranges count once.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, [`CatalogError::StaleVersion`] when it is not at
    /// `expected_version`, [`CatalogError::LimitReached`], or when the catalog is unavailable.
    pub async fn allow_list_set(
        &mut self,
        tenant: TenantId,
        expected_version: Option<i64>,
        ranges: &[AddressRange],
    ) -> Result<TenantRecord, CatalogError> {
        let before = self.lock_living_tenant(tenant).await?;
        if expected_version.is_some_and(|expected| expected != before.version) {
            return Err(CatalogError::StaleVersion { current: before.version });
        }
        let mut ranges = ranges.to_vec();
        ranges.sort_unstable();
        ranges.dedup();
        if ranges.len() > usize::try_from(ALLOW_LIST_MAX).unwrap_or(usize::MAX) {
            return Err(CatalogError::LimitReached { what: "ranges in an allow list", max: ALLOW_LIST_MAX });
        }
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        if ranges.is_empty() {
            let sql = "delete from catalog.allow_lists where tenant_id = $1";
            self.execute(sql, &[uuid(tenant.as_uuid())]).await?;
        } else {
            let sql = "insert into catalog.allow_lists (tenant_id, ranges) values ($1, $2::cidr[])
                       on conflict (tenant_id) do update set ranges = excluded.ranges, updated_at = now()";
            self.execute(sql, &[uuid(tenant.as_uuid()), texts(&ranges)]).await?;
        }
        self.audit("allow_list.set", Some(tenant), before.slug.as_str(), json!({ "ranges": ranges }));
        self.tenant_read(tenant).await
    }
}

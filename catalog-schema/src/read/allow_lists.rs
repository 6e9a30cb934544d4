//! From where tenants may be reached.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::uuid;
use tenancy::{AddressRange, TenantId};

/// The list of the tenant that `t` is, as texts; an empty one stands for everywhere.
pub(crate) const ALLOW_LIST: &str =
    "coalesce((select a.ranges::text[] from catalog.allow_lists a where a.tenant_id = t.id), '{}')";

impl Catalog {
    /// From where a tenant may be reached; from everywhere if the list is empty.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn allow_list(&self, tenant: TenantId) -> Result<Vec<AddressRange>, CatalogError> {
        let sql = format!("select {ALLOW_LIST} as allow_list from catalog.tenants t where t.id = $1");
        let row = self.row(&sql, &[uuid(tenant.as_uuid())]).await?;
        row.map_or(Ok(Vec::new()), |row| row.words("allow_list"))
    }
}

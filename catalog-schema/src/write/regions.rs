//! Regions.

use crate::error::CatalogError;
use crate::read::regions::{RegionRecord, region_of_row};
use crate::sql::text;
use crate::tx::Tx;
use serde_json::json;
use tenancy::RegionName;

impl Tx {
    /// Registers a region.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when there is one of this name, or when the catalog is unavailable.
    pub async fn region_create(
        &mut self,
        name: &RegionName,
        jurisdiction: &str,
    ) -> Result<RegionRecord, CatalogError> {
        let sql = "insert into catalog.regions (name, jurisdiction) values ($1, $2) returning *";
        let row = self.row(sql, &[text(name.as_str()), text(jurisdiction)]).await?;
        self.audit("region.create", None, name.as_str(), json!({ "jurisdiction": jurisdiction }));
        region_of_row(&row.ok_or(CatalogError::NotFound { what: "region" })?)
    }
}

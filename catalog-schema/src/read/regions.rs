//! Regions.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::text;
use jiff::Timestamp;
use tenancy::RegionName;
use tokio_postgres::Row;

/// A place where clusters and gateways stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionRecord {
    /// Its name.
    pub name: RegionName,
    /// Whose law applies there, such as `EU`.
    pub jurisdiction: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl Catalog {
    /// All regions, by name. There are few.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn regions(&self) -> Result<Vec<RegionRecord>, CatalogError> {
        let rows = self.rows("select * from catalog.regions order by name", &[]).await?;
        rows.iter().map(region_of_row).collect()
    }

    /// One region.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn region_get(&self, name: &RegionName) -> Result<Option<RegionRecord>, CatalogError> {
        let row = self.row("select * from catalog.regions where name = $1", &[text(name.as_str())]).await?;
        row.as_ref().map(region_of_row).transpose()
    }
}

pub(crate) fn region_of_row(row: &Row) -> Result<RegionRecord, CatalogError> {
    Ok(RegionRecord {
        name: row.word("name")?,
        jurisdiction: row.value("jurisdiction")?,
        created_at: row.value("created_at")?,
    })
}

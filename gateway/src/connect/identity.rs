//! Is this the database that the catalog means?

use super::ConnectError;
use catalog_schema::PlacementRecord;
use tenancy::TenantId;

/// Asks a server who it is. Every name is qualified, so the tenant's own objects cannot answer for it.
/// The marker's schema belongs to the cluster's administrator; the tenant may read it and nothing else.
pub const QUERY: &str = "select pg_catalog.current_database()::pg_catalog.text, \
     (select system_identifier::pg_catalog.text from pg_catalog.pg_control_system()), \
     (select tenant_id::pg_catalog.text from tenantry.marker)";

/// What a server must answer to be used for a tenant.
#[derive(Debug, Clone)]
pub struct Identity {
    database: String,
    system_identifier: String,
    tenant: String,
}

impl Identity {
    /// What the catalog says of the tenant's database.
    #[must_use]
    pub fn expected(tenant: TenantId, placement: &PlacementRecord) -> Self {
        Self {
            database: placement.database.to_string(),
            system_identifier: placement.cluster.system_identifier.clone(),
            tenant: tenant.to_string(),
        }
    }

    /// Compares the row that [`QUERY`] returned.
    ///
    /// # Errors
    /// [`ConnectError::Mismatch`] naming what differs.
    pub fn check(&self, row: &[Option<String>]) -> Result<(), ConnectError> {
        let expected = [
            ("database", self.database.as_str()),
            ("system identifier", &self.system_identifier),
            ("tenant marker", &self.tenant),
        ];
        if row.len() != expected.len() {
            return Err(ConnectError::Mismatch(format!("{} columns where 3 were asked for", row.len())));
        }
        for ((what, want), got) in expected.into_iter().zip(row) {
            if got.as_deref() != Some(want) {
                let got = got.as_deref().unwrap_or("nothing");
                return Err(ConnectError::Mismatch(format!("its {what} is {got}, the catalog says {want}")));
            }
        }
        Ok(())
    }
}

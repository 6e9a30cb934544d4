//! Is this the database that the catalog means?

use super::ConnectError;
use catalog_schema::PlacementRecord;
use tenancy::TenantId;

/// Asks a server who it is. Every name is qualified, so the tenant's own objects cannot answer for it.
/// The marker's schema belongs to the cluster's administrator; the tenant may read it and nothing else.
pub const QUERY: &str = "select (select system_identifier::pg_catalog.text from pg_catalog.pg_control_system()), \
     pg_catalog.current_database()::pg_catalog.text, \
     (select tenant_id::pg_catalog.text from tenantry.marker), \
     pg_catalog.pg_is_in_recovery()::pg_catalog.text";

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
    /// [`ConnectError::WrongServer`] when it is another one, [`ConnectError::Mismatch`] naming what differs on the
    /// right one, [`ConnectError::Standby`] when it is a copy of the
    /// right one: what clients write there fails, and what they read may be old.
    pub fn check(&self, row: &[Option<String>]) -> Result<(), ConnectError> {
        // The server first: of a wrong one nothing else can be expected.
        let expected = [
            ("system identifier", self.system_identifier.as_str()),
            ("database", &self.database),
            ("tenant marker", &self.tenant),
        ];
        let Some((in_recovery, names)) = row.split_last().filter(|(_, names)| names.len() == expected.len())
        else {
            let wanted = expected.len() + 1;
            return Err(ConnectError::Mismatch(format!(
                "{} columns where {wanted} were asked for",
                row.len()
            )));
        };
        for ((what, want), got) in expected.into_iter().zip(names) {
            if got.as_deref() != Some(want) {
                let got = got.as_deref().unwrap_or("nothing");
                let differs = format!("its {what} is {got}, the catalog says {want}");
                return Err(match what {
                    "system identifier" => ConnectError::WrongServer(differs),
                    _ => ConnectError::Mismatch(differs),
                });
            }
        }
        if in_recovery.as_deref() == Some("false") { Ok(()) } else { Err(ConnectError::Standby) }
    }
}

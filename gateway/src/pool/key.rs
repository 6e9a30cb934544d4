//! What makes two connections interchangeable.

use catalog_schema::PlacementRecord;
use tenancy::{Access, ClusterId, DatabaseName, RoleName};

/// Connections to the same database of the same cluster as the same role may serve each other's
/// clients; no others may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The server.
    pub cluster: ClusterId,
    /// The physical database.
    pub database: DatabaseName,
    /// The physical role.
    pub role: RoleName,
}

impl PoolKey {
    /// What the placement leads to for this access; nowhere while the role for it is being made.
    #[must_use]
    pub fn of(placement: &PlacementRecord, access: Access) -> Option<Self> {
        placement.login(access).map(|login| Self {
            cluster: placement.cluster.id,
            database: placement.database.clone(),
            role: login.role.clone(),
        })
    }
}

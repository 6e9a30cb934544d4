//! What makes two connections interchangeable.

use tenancy::{ClusterId, DatabaseName, RoleName};

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

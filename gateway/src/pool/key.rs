//! What makes two connections interchangeable.

use catalog_schema::{PlacementRecord, RoleLogin};
use tenancy::{Access, ClusterId, ClusterState, DatabaseName, RoleName, TenantId};

/// Connections to the same database of the same cluster as the same role may serve each other's clients; no others may.
/// The access is part of it, so that not even a catalog that has one role for two of them brings their clients together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The server.
    pub cluster: ClusterId,
    /// The physical database.
    pub database: DatabaseName,
    /// The physical role.
    pub role: RoleName,
    /// What its clients may do.
    pub access: Access,
}

impl PoolKey {
    /// What the placement leads to for this access; nowhere while the role for it is being made.
    #[must_use]
    pub fn of(placement: &PlacementRecord, access: Access) -> Option<Self> {
        placement.login(access).map(|login| Self {
            cluster: placement.cluster.id,
            database: placement.database.clone(),
            role: login.role.clone(),
            access,
        })
    }

    /// Is it what the placement leads to? Asked with every login.
    fn is_of(&self, placement: &PlacementRecord) -> bool {
        placement.cluster.id == self.cluster
            && placement.database == self.database
            && placement.login(self.access).is_some_and(|login| login.role == self.role)
    }
}

/// Where the connections of a pool lead, and whose they are.
#[derive(Debug)]
pub struct Destination {
    /// The tenant.
    pub tenant: TenantId,
    /// The place, and the role.
    pub key: PoolKey,
    /// The route's end that it was made for.
    pub placement: PlacementRecord,
}

impl Destination {
    /// Where a tenant is, as what its sessions with this access log in; nowhere while the role for it is being made.
    #[must_use]
    pub fn of(tenant: TenantId, placement: &PlacementRecord, access: Access) -> Option<Self> {
        let key = PoolKey::of(placement, access)?;
        Some(Self { tenant, key, placement: placement.clone() })
    }

    /// Does a route that ends there now lead to the same database, as the same role, in the same way, so that open
    /// connections stay good?
    #[must_use]
    pub fn is_same_in(&self, now: &PlacementRecord) -> bool {
        let old = &self.placement;
        self.key.is_of(now)
            && (&old.cluster.host, old.cluster.port) == (&now.cluster.host, now.cluster.port)
            && old.cluster.system_identifier == now.cluster.system_identifier
            && old.cluster.tls == now.cluster.tls
            && self.login() == now.login(self.key.access)
            && now.cluster.state != ClusterState::Offline
    }

    /// What logs in.
    #[must_use]
    pub fn login(&self) -> Option<&RoleLogin> {
        self.placement.login(self.key.access)
    }
}

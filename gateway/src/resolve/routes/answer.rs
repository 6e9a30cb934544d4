//! What the cache says besides a tenant.

use crate::pool::Registry;
use crate::resolve::Tenant;
use catalog_schema::{ClusterRecord, Logins, PlacementRecord, RouteRecord};
use std::sync::Arc;
use tenancy::TenantState;

/// Whose key it is.
pub struct Owner {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// The catalog has just confirmed the key, and the cached route does not have it yet.
    pub route_is_behind: bool,
}

/// A route that was read anew because the catalog said it changed.
pub struct Refreshed {
    /// The tenant, its new route in force.
    pub tenant: Arc<Tenant>,
    /// The route before.
    pub old: Arc<RouteRecord>,
    /// The catalog knows the tenant no more.
    pub gone: bool,
}

impl Refreshed {
    /// Does the route say anything else than before?
    #[must_use]
    pub fn is_news(&self) -> bool {
        let new = self.tenant.route();
        self.gone
            || new.generation != self.old.generation
            || (new.limits, new.storage, new.settings_epoch)
                != (self.old.limits, self.old.storage, self.old.settings_epoch)
            || way(new.placement.as_ref()) != way(self.old.placement.as_ref())
    }

    /// Has the pools follow the route.
    pub fn apply(&self, pools: &Registry) {
        let new = (!self.gone).then(|| self.tenant.route());
        pools.route_changed(&self.old, new.as_deref());
        tracing::info!(
            tenant.id = %self.tenant.id(),
            tenant.slug = %self.old.slug,
            state = %new.as_ref().map_or(TenantState::Deleted, |route| route.state),
            "a route changed"
        );
    }
}

/// What of a place decides how it is connected to.
fn way(placement: Option<&PlacementRecord>) -> Option<(&ClusterRecord, &Logins)> {
    placement.map(|placement| (&*placement.cluster, &placement.logins))
}

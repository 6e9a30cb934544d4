//! What routes have in common, kept once: a hundred thousand tenants live on some dozens of clusters.

use catalog_schema::{ClusterRecord, RouteRecord};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tenancy::ClusterId;

/// The clusters' records as routes read lately have them. One for each cluster.
#[derive(Debug, Default)]
pub(super) struct Clusters(Mutex<HashMap<ClusterId, Arc<ClusterRecord>>>);

impl Clusters {
    /// Has a route share the record of its cluster with the routes before it, if it says the same.
    pub(super) fn share(&self, route: &mut RouteRecord) {
        let Some(placement) = &mut route.placement else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = known.entry(placement.cluster.id).or_insert_with(|| Arc::clone(&placement.cluster));
        if **latest == *placement.cluster {
            placement.cluster = Arc::clone(latest);
        } else if latest.version < placement.cluster.version {
            *latest = Arc::clone(&placement.cluster);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;

    #[test]
    fn routes_to_one_cluster_share_its_record_until_it_changes() {
        let clusters = Clusters::default();
        let first = route();
        let [mut second, mut changed, mut like_that] = [(); 3].map(|()| first.clone());
        for route in [&mut second, &mut changed, &mut like_that] {
            let placement = route.placement.as_mut().expect("it has one");
            placement.cluster = Arc::new(ClusterRecord::clone(&placement.cluster));
        }
        for route in [&mut changed, &mut like_that] {
            let placement = route.placement.as_mut().expect("it has one");
            Arc::make_mut(&mut placement.cluster).version += 1;
        }
        let of = |route: &RouteRecord| Arc::clone(&route.placement.as_ref().expect("it has one").cluster);
        clusters.share(&mut first.clone());
        for route in [&mut second, &mut changed, &mut like_that] {
            clusters.share(route);
        }
        assert!(Arc::ptr_eq(&of(&first), &of(&second)));
        assert!(!Arc::ptr_eq(&of(&first), &of(&changed)));
        assert!(Arc::ptr_eq(&of(&changed), &of(&like_that)));
    }
}

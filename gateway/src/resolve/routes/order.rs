//! Which cached tenant gives way when the cache is full.
//!
//! Tenants stand in a queue from the one that came first. One that was used since it last stood at the front goes to
//! the end again, so that a look-up only notes the time: hits take no lock here, and nobody looks at all tenants.

use crate::resolve::Tenant;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tenancy::TenantId;

/// Tenants looked at for one place. If all of them are in use, the cache is over its capacity for a while.
const LOOKS_MAX: usize = 1_000;

/// Places of tenants that are gone stay in the queue until they are met, this many beside those of all cached ones.
const GONE_MAX: usize = 1_024;

/// The cached tenants, the one to give way first.
#[derive(Debug, Default)]
pub(super) struct Order(Mutex<VecDeque<Place>>);

#[derive(Debug)]
struct Place {
    id: TenantId,
    /// When it was last used, as of when it was put here.
    used: u64,
}

impl Order {
    /// A tenant was cached. `is_cached` says which are, and `count` how many.
    pub(super) fn came(&self, tenant: &Tenant, count: usize, is_cached: impl Fn(TenantId) -> bool) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() > 2 * count + GONE_MAX {
            let mut met = HashSet::with_capacity(count);
            queue.retain(|place| is_cached(place.id) && met.insert(place.id));
            queue.shrink_to(2 * count + GONE_MAX);
        }
        queue.push_back(Place { id: tenant.id(), used: tenant.last_used_ms() });
    }

    /// The first one that is idle and was not used for longest. `find` gives a cached tenant. It has no place here any
    /// more: whoever cannot forget it has to say so by [`Order::came`].
    pub(super) fn first_idle(&self, find: impl Fn(TenantId) -> Option<Arc<Tenant>>) -> Option<Arc<Tenant>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..LOOKS_MAX {
            let place = queue.pop_front()?;
            let Some(tenant) = find(place.id) else { continue };
            let used = tenant.last_used_ms();
            if used == place.used && tenant.is_idle() {
                return Some(tenant);
            }
            queue.push_back(Place { used, ..place });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use std::collections::HashMap;
    use std::sync::atomic::Ordering;
    use tokio_util::sync::CancellationToken;

    fn tenants(count: usize) -> (Order, Vec<Arc<Tenant>>, HashMap<TenantId, Arc<Tenant>>) {
        let (order, mut all) = (Order::default(), Vec::new());
        for _ in 0..count {
            let tenant = Arc::new(Tenant::new(route(), CancellationToken::new()));
            order.came(&tenant, all.len(), |_| true);
            all.push(tenant);
        }
        let cached = all.iter().map(|tenant| (tenant.id(), Arc::clone(tenant))).collect();
        (order, all, cached)
    }

    #[test]
    fn who_was_used_or_is_in_use_stays() {
        let (order, all, cached) = tenants(4);
        std::thread::sleep(std::time::Duration::from_millis(2));
        all[0].touch();
        all[1].clients().fetch_add(1, Ordering::AcqRel);
        let next = || order.first_idle(|id| cached.get(&id).cloned()).map(|tenant| tenant.id());
        assert_eq!(next(), Some(all[2].id()));
        assert_eq!(next(), Some(all[3].id()));
        assert_eq!(next(), Some(all[0].id()), "it was used, but not since");
        assert_eq!(next(), None, "the last one is in use");
    }

    #[test]
    fn the_gone_take_up_no_more_room_than_a_bound() {
        let (order, all, _) = tenants(1);
        for _ in 0..10 * GONE_MAX {
            order.came(&Tenant::new(route(), CancellationToken::new()), 1, |id| id == all[0].id());
        }
        let queue = order.0.lock().expect("no panic");
        assert!(queue.len() <= GONE_MAX + 4 && queue.iter().any(|place| place.id == all[0].id()));
    }
}

//! How often the issuers of one tenant are asked for their keys, however often they are removed, moved and made anew: each
//! new one begins without a past, and whoever manages a tenant makes as many as they like, one after the other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenancy::TenantId;

/// Fetches for one tenant in a row. Eight issuers that all change their keys at once are far below it.
const IN_A_ROW_MAX: u32 = 60;

/// In which a tenant that has used them up gets them back.
const WINDOW: Duration = Duration::from_secs(60);

/// Tenants that are remembered. For one more, the one is forgotten that has the most left.
const TENANTS_MAX: usize = 4_096;

/// What tenants have left, as the moment at which each has all of it again; those that have it are left out.
#[derive(Default)]
pub(super) struct Allowances(Mutex<HashMap<TenantId, Instant>>);

impl Allowances {
    /// Takes one fetch from the tenant's allowance, if any is left.
    pub(super) fn take(&self, of: TenantId, now: Instant) -> bool {
        let mut whole_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = whole_at.get(&of).copied().unwrap_or(now).max(now) + WINDOW / IN_A_ROW_MAX;
        if next > now + WINDOW {
            return false;
        }
        if !whole_at.contains_key(&of) && whole_at.len() >= TENANTS_MAX {
            whole_at.retain(|_, at| *at > now);
            let most_left = whole_at.iter().min_by_key(|(_, at)| **at).map(|(tenant, _)| *tenant);
            if let Some(tenant) = most_left.filter(|_| whole_at.len() >= TENANTS_MAX) {
                whole_at.remove(&tenant);
            }
        }
        whole_at.insert(of, next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_so_many_and_gets_them_back() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let [eager, other] = [TenantId::generate(), TenantId::generate()];
        let taken = (0..1_000).filter(|_| allowances.take(eager, now)).count();
        assert_eq!(taken, 60);
        assert!(allowances.take(other, now), "others have their own");
        assert!(allowances.take(eager, now + Duration::from_secs(1)));
        assert!(!allowances.take(eager, now + Duration::from_secs(1)));
    }

    #[test]
    fn many_tenants_take_bounded_room_and_set_nobody_free() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let eager = TenantId::generate();
        while allowances.take(eager, now) {}
        for _ in 0..2 * TENANTS_MAX {
            assert!(allowances.take(TenantId::generate(), now));
        }
        assert!(allowances.0.lock().expect("nobody panics").len() <= TENANTS_MAX);
        assert!(!allowances.take(eager, now), "who has the least left is remembered");
    }
}

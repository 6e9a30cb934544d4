//! Tenants whose roles go on changing themselves. Putting them in order takes the cluster's lock, which everybody's
//! provisioning needs, so each is put in order ever less often.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use tenancy::TenantId;

/// The first wait, after a tenant was put in order once.
const FIRST: Duration = Duration::from_secs(30);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// A tenant whose roles stay in order for this long beyond its wait is as good as one that was never out of order.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// When each may be put in order again. Holds those alone that were lately out of order: no more than there are tenants.
#[derive(Debug, Default)]
pub(super) struct Drifters(HashMap<TenantId, Wait>);

#[derive(Debug)]
struct Wait {
    length: Duration,
    until: Instant,
}

impl Drifters {
    /// Is it this tenant's turn? If so, the next comes later.
    pub(super) fn take_turn(&mut self, tenant: TenantId, now: Instant) -> bool {
        let length = match self.0.get(&tenant) {
            Some(wait) if now < wait.until => return false,
            Some(wait) => (wait.length * 2).min(LONGEST),
            None => FIRST,
        };
        self.0.insert(tenant, Wait { length, until: now + length });
        true
    }

    /// Forgets those that have been in order for long.
    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, wait| now < wait.until + FORGOTTEN_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_drifts_again_and_again_is_put_in_order_ever_less_often() {
        let (mut drifters, tenant, start) = (Drifters::default(), TenantId::generate(), Instant::now());
        let turns = |drifters: &mut Drifters, from: u64, to: u64| {
            let seconds = (from..to).step_by(15).map(|second| start + Duration::from_secs(second));
            seconds.filter(|now| drifters.take_turn(tenant, *now)).count()
        };
        assert_eq!(turns(&mut drifters, 0, 15), 1, "the first comes at once");
        assert_eq!(turns(&mut drifters, 15, 3_600), 9);
        assert_eq!(turns(&mut drifters, 3_600, 7_200), 6, "no wait is longer than the longest");
        assert!(drifters.take_turn(TenantId::generate(), start), "others do not wait for it");
    }

    #[test]
    fn who_stays_in_order_is_forgotten() {
        let (mut drifters, tenant, start) = (Drifters::default(), TenantId::generate(), Instant::now());
        assert!(drifters.take_turn(tenant, start));
        drifters.forget(start + FIRST);
        assert!(!drifters.take_turn(tenant, start), "not yet");
        drifters.forget(start + FIRST + FORGOTTEN_AFTER);
        assert!(drifters.take_turn(tenant, start));
    }
}

//! What tenants did in the last minute or two, for PgBouncer's averages.
//!
//! Whoever asks has the totals kept, once a [`PERIOD`] and once more than they are needed: for somebody who asks at
//! least that often an average covers one to two periods, and never jumps when one ends. Between two looks that are
//! further apart it covers the time between them. While nobody asks, nothing happens. Only tenants that have ever done
//! anything are kept.

use super::show::Counts;
use crate::resolve::Routes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenancy::TenantId;

/// PgBouncer's `stats_period`.
const PERIOD: Duration = Duration::from_secs(60);

/// Totals as they were.
#[derive(Debug)]
pub struct Averages(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    older: Snapshot,
    newer: Snapshot,
}

/// The totals of all tenants at one time.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) at: Instant,
    totals: Arc<HashMap<TenantId, Counts>>,
}

impl Default for Averages {
    fn default() -> Self {
        let empty = Snapshot { at: Instant::now(), totals: Arc::default() };
        Self(Mutex::new(Kept { older: empty.clone(), newer: empty }))
    }
}

impl Averages {
    /// The totals that averages count from, for somebody who asks now.
    pub(super) fn base(&self, routes: &Routes) -> Snapshot {
        self.base_at(Instant::now(), || totals_of(routes))
    }

    fn base_at(&self, now: Instant, totals: impl FnOnce() -> HashMap<TenantId, Counts>) -> Snapshot {
        let mut kept = self.kept();
        if now.saturating_duration_since(kept.newer.at) >= PERIOD {
            let newest = Snapshot { at: now, totals: Arc::new(totals()) };
            kept.older = std::mem::replace(&mut kept.newer, newest);
        }
        kept.older.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// A tenant's totals then.
    pub(super) fn of(&self, tenant: TenantId) -> Counts {
        self.totals.get(&tenant).copied().unwrap_or_default()
    }
}

fn totals_of(routes: &Routes) -> HashMap<TenantId, Counts> {
    let totals = routes.all().into_iter().map(|tenant| (tenant.id(), Counts::of(&tenant)));
    totals.filter(|(_, counts)| *counts != Counts::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_cover_one_to_two_periods_while_somebody_asks() {
        let averages = Averages::default();
        let start = averages.kept().newer.at;
        let covered = |seconds| {
            let now = start + Duration::from_secs(seconds);
            (now - averages.base_at(now, HashMap::new).at).as_secs()
        };
        assert_eq!([10, 59].map(covered), [10, 59], "since the start");
        assert_eq!([60, 75, 119].map(covered), [60, 75, 119]);
        assert_eq!([120, 150, 179].map(covered), [60, 90, 119]);
        assert_eq!(covered(3_600), 3_480, "since the look before");
        assert_eq!([3_610, 3_660].map(covered), [3_490, 60]);
    }
}

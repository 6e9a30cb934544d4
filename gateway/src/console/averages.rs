//! What tenants did in the last minute or two, for PgBouncer's averages.
//!
//! Every [`PERIOD`] the totals are kept, once more than they are needed: an average then covers one to two periods
//! and never jumps when one ends. Only tenants that have ever done anything are kept.

use super::show::Counts;
use crate::shared::Shared;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenancy::TenantId;
use tokio_util::sync::CancellationToken;

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
    /// The totals that averages count from.
    pub(super) fn base(&self) -> Snapshot {
        self.kept().older.clone()
    }

    fn keep(&self, totals: HashMap<TenantId, Counts>) {
        let mut kept = self.kept();
        let newest = Snapshot { at: Instant::now(), totals: Arc::new(totals) };
        kept.older = std::mem::replace(&mut kept.newer, newest);
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

/// Keeps totals until `stop` fires. Without users nobody asks for averages, and nothing is kept.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    if !shared.console.is_on() {
        return;
    }
    let mut interval = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let totals = shared.routes.all().into_iter().map(|tenant| (tenant.id(), Counts::of(&tenant)));
        shared.console.averages.keep(totals.filter(|(_, counts)| *counts != Counts::default()).collect());
    }
}

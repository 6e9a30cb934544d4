//! Who waits, and who keeps its connection, tenant by tenant and access by access.

use crate::clients::{Clients, Doing};
use std::collections::HashMap;
use std::time::Duration;
use tenancy::{Access, PoolMode, TenantId};

/// A tenant's clients of one access.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waits {
    /// How many there are.
    pub(super) clients: u32,
    /// How many of them wait.
    pub(super) waiting: u32,
    /// How long the first of them has waited.
    pub(super) longest: Duration,
    /// How many are in session mode, and how many are not.
    by_mode: (u32, u32),
}

impl Waits {
    /// How the pool is used, in PgBouncer's words where there is one: the mode is the client's own here, and
    /// they may differ.
    pub(super) fn pool_mode(self) -> &'static str {
        match self.by_mode {
            (0, _) => PoolMode::Transaction.as_str(),
            (_, 0) => PoolMode::Session.as_str(),
            _ => "mixed",
        }
    }
}

/// Clients of the tenant that wait.
pub(super) fn of_tenant(all: &HashMap<(TenantId, Access), Waits>, tenant: TenantId) -> u32 {
    Access::ALL.iter().filter_map(|access| all.get(&(tenant, *access))).map(|waits| waits.waiting).sum()
}

/// All pools with somebody connected.
pub(super) fn of_all(clients: &Clients) -> HashMap<(TenantId, Access), Waits> {
    let mut all: HashMap<(TenantId, Access), Waits> = HashMap::new();
    for client in clients.all() {
        let waits = all.entry((client.about.tenant.id(), client.about.access)).or_default();
        waits.clients += 1;
        match client.about.pool_mode {
            PoolMode::Session => waits.by_mode.0 += 1,
            PoolMode::Transaction => waits.by_mode.1 += 1,
        }
        if client.doing() == Doing::Waiting {
            waits.waiting += 1;
            waits.longest = waits.longest.max(client.since());
        }
    }
    all
}

/// Whole seconds, and the microseconds beyond them.
pub(super) fn seconds_and_micros(duration: Duration) -> (u64, u32) {
    (duration.as_secs(), duration.subsec_micros())
}

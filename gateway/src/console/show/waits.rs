//! Who waits, tenant by tenant.

use crate::clients::{Clients, Doing};
use std::collections::HashMap;
use std::time::Duration;
use tenancy::TenantId;

/// A tenant's waiting clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waits {
    /// How many.
    pub(super) clients: u32,
    /// How long the first of them has waited.
    pub(super) longest: Duration,
}

/// All who wait. As many entries as there are tenants with somebody who waits.
pub(super) fn of_all(clients: &Clients) -> HashMap<TenantId, Waits> {
    let mut all: HashMap<TenantId, Waits> = HashMap::new();
    for client in clients.all() {
        if client.doing() == Doing::Waiting {
            let waits = all.entry(client.about.tenant.id()).or_default();
            waits.clients += 1;
            waits.longest = waits.longest.max(client.since());
        }
    }
    all
}

/// Whole seconds, and the microseconds beyond them.
pub(super) fn seconds_and_micros(duration: Duration) -> (u64, u32) {
    (duration.as_secs(), duration.subsec_micros())
}

//! What is shown of tenants' rates and of addresses that ask for too much.

use crate::admit::addresses::Excess;
use crate::metrics::family::{Family, Spec};
use crate::shared::Shared;
use std::sync::atomic::Ordering;

static TENANTS: Spec = Spec::gauge(
    "tenantry_gateway_rate_tenants",
    &["share"],
    "Tenants with a rate that ask: with a share leased from the catalog, and with an even part for want of one.",
);
static WAITING: Spec = Spec::gauge(
    "tenantry_gateway_rate_waiting_requests",
    &[],
    "Requests that wait because their tenant's come faster than its plan allows.",
);
static DELAYED: Spec = Spec::counter(
    "tenantry_gateway_rate_delayed_requests_total",
    &[],
    "Requests that waited because their tenant's came faster than its plan allows, refused in the end or not.",
);
static LAPSED: Spec = Spec::counter(
    "tenantry_gateway_rate_shares_lapsed_total",
    &[],
    "Shares of tenants' rates that were lost because they could not be renewed in time.",
);
static REFUSED: Spec = Spec::counter(
    "tenantry_gateway_address_refusals_total",
    &["excess"],
    "Clients refused because their address opened too many connections, or too many of its logins failed.",
);
static FAILED: Spec =
    Spec::counter("tenantry_gateway_failed_logins_total", &[], "Logins that failed on either listener.");

/// How often tenants and addresses were held up.
#[derive(Debug, Clone, Default)]
pub struct RateReading {
    /// Tenants that ask: with a lease, and without.
    pub tenants: [u64; 2],
    /// Requests that wait now.
    pub waiting: u64,
    /// Requests that had to.
    pub delayed: u64,
    /// Shares lost.
    pub lapsed: u64,
    /// Refusals of addresses.
    pub refused: Vec<(Excess, u64)>,
    /// Logins that failed.
    pub failed: u64,
}

impl RateReading {
    /// The numbers now.
    #[must_use]
    pub fn take(shared: &Shared) -> Self {
        let book = shared.routes.book();
        Self {
            tenants: [&book.leased, &book.unleased].map(|count| count.load(Ordering::Relaxed).into()),
            waiting: book.waiting.load(Ordering::Acquire).into(),
            delayed: book.delayed.get(),
            lapsed: book.lapsed.get(),
            refused: shared.addresses.refusals().collect(),
            failed: shared.addresses.failed.get(),
        }
    }
}

pub(super) fn families(reading: &RateReading) -> [Family; 6] {
    let [leased, even] = reading.tenants;
    let mut refused = Family::new(&REFUSED);
    for (excess, count) in &reading.refused {
        refused.push(&[excess.as_str()], *count);
    }
    [
        Family::new(&TENANTS).row(&["leased"], leased).row(&["even"], even),
        Family::new(&WAITING).row(&[], reading.waiting),
        Family::new(&DELAYED).row(&[], reading.delayed),
        Family::new(&LAPSED).row(&[], reading.lapsed),
        refused,
        Family::new(&FAILED).row(&[], reading.failed),
    ]
}

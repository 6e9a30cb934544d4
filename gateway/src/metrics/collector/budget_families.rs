//! What is shown of how clusters' connections are shared out over pools.

use crate::metrics::family::{Family, Spec};
use crate::pool::LongHold;
use crate::pool::allocator::{Holdings, Reason};
use crate::pool::cluster::Turnover;
use crate::shared::Shared;
use std::collections::BTreeMap;

static CLOSING: Spec = Spec::gauge(
    "tenantry_cluster_closing_connections",
    &["cluster"],
    "Of the server connections to the cluster, those that are being closed.",
);
static STUCK: Spec = Spec::gauge(
    "tenantry_cluster_stuck_connections",
    &["cluster"],
    "Connections that were closed and that the server does not let go of: their backends heed no cancel.",
);
static WAITING_POOLS: Spec = Spec::gauge(
    "tenantry_cluster_waiting_pools",
    &["cluster"],
    "Pools that lack a connection because the gateway's share of the budget is spent.",
);
static RESERVED: Spec = Spec::gauge(
    "tenantry_cluster_reserved_connections",
    &["cluster"],
    "Connections that nobody holds and that are kept for the floors of tenants.",
);
static LONG_HELD: Spec = Spec::gauge(
    "tenantry_cluster_long_held_connections",
    &["cluster", "kind"],
    "Server connections that are held for longer than a transaction, by what for.",
);
static LONG_HELD_LIMIT: Spec = Spec::gauge(
    "tenantry_cluster_long_held_limit",
    &["cluster"],
    "Server connections that may be held for longer than a transaction.",
);
static GRANTS: Spec = Spec::counter(
    "tenantry_cluster_grants_total",
    &["cluster"],
    "Connections that pools were allowed to open.",
);
static EVICTIONS: Spec = Spec::counter(
    "tenantry_cluster_evictions_total",
    &["cluster", "reason"],
    "Idle connections that were closed for other pools, by why their pools had to give them up.",
);
static YIELDS: Spec = Spec::counter(
    "tenantry_cluster_yields_total",
    &["cluster", "reason"],
    "Connections that were closed for other pools when a transaction ended, by why their pools had to give them up.",
);

/// How clusters' connections are shared out: their names, what is held now, and what was given up so far.
#[derive(Debug, Clone, Default)]
pub struct BudgetReading(pub Vec<(String, Holdings, Turnover)>);

/// What clusters of one name add up to: a name may pass from one to another, and a series must not appear twice.
#[derive(Default)]
struct Sums {
    gauges: [u64; 5],
    long: [u64; LongHold::ALL.len()],
    grants: u64,
    evictions: [u64; Reason::ALL.len()],
    yields: [u64; Reason::ALL.len()],
}

impl BudgetReading {
    /// The numbers now.
    #[must_use]
    pub fn take(shared: &Shared) -> Self {
        let clusters = shared.pools.clusters();
        let read = clusters
            .iter()
            .map(|cluster| (cluster.record().name.to_string(), cluster.holdings(), cluster.turnover()));
        Self(read.collect())
    }
}

impl Sums {
    fn add(&mut self, holdings: &Holdings, turnover: &Turnover) {
        let Holdings { closing, stuck, waiting_pools, reserved, long_limit, .. } = *holdings;
        add(&mut self.gauges, [closing, stuck, waiting_pools, reserved, long_limit].map(u64::from));
        add(&mut self.long, holdings.long.map(u64::from));
        self.grants += turnover.grants;
        add(&mut self.evictions, turnover.evictions);
        add(&mut self.yields, turnover.yields);
    }
}

fn add<const N: usize>(sums: &mut [u64; N], values: [u64; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

pub(super) fn families(reading: &BudgetReading) -> Vec<Family> {
    let mut by_name: BTreeMap<&str, Sums> = BTreeMap::new();
    for (name, holdings, turnover) in &reading.0 {
        by_name.entry(name).or_default().add(holdings, turnover);
    }
    let mut gauges = [&CLOSING, &STUCK, &WAITING_POOLS, &RESERVED, &LONG_HELD_LIMIT].map(Family::new);
    let [mut long, mut grants, mut evictions, mut yields] =
        [&LONG_HELD, &GRANTS, &EVICTIONS, &YIELDS].map(Family::new);
    for (name, sums) in by_name {
        gauges.iter_mut().zip(sums.gauges).for_each(|(family, sum)| family.push(&[name], sum));
        grants.push(&[name], sums.grants);
        for (kind, sum) in LongHold::ALL.into_iter().zip(sums.long) {
            long.push(&[name, kind.as_str()], sum);
        }
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            evictions.push(&[name, reason.as_str()], sums.evictions[index]);
            yields.push(&[name, reason.as_str()], sums.yields[index]);
        }
    }
    let mut families = Vec::from(gauges);
    families.extend([long, grants, evictions, yields]);
    families
}

//! What is shown of logins to clusters, and of the breakers before them.

use crate::metrics::family::{Family, Spec};
use crate::pool::Cluster;
use crate::pool::breaker::endpoint::TRANSITIONS;
use std::collections::BTreeMap;
use std::time::Instant;

static BREAKER: Spec = Spec::gauge(
    "tenantry_cluster_breaker_state",
    &["cluster"],
    "0: logins succeed. 1: they fail, clients wait. 2: clients are refused, a login is tried. 3: they are refused.",
);
static TRANSITION: Spec = Spec::counter(
    "tenantry_cluster_breaker_transitions_total",
    &["cluster", "to"],
    "Times that logins began to fail, that clients began to be refused for it, and that it was over.",
);
static REFUSED: Spec = Spec::counter(
    "tenantry_cluster_breaker_refusals_total",
    &["cluster"],
    "Clients refused because the cluster, or their tenant on it, could not be logged in to.",
);
static UNDER_WAY: Spec =
    Spec::gauge("tenantry_cluster_logins_under_way", &["cluster"], "Logins to the cluster under way.");
static LOGINS: Spec = Spec::counter(
    "tenantry_cluster_logins_total",
    &["cluster", "result"],
    "Logins to the cluster that succeeded and that failed.",
);

/// One cluster's logins.
#[derive(Debug, Clone, Default)]
pub struct LoginReading {
    /// The cluster's name.
    pub name: String,
    /// Where its breaker stands, as a number.
    pub state: u64,
    /// Logins under way.
    pub under_way: u64,
    /// Times that the breaker went to each of [`TRANSITIONS`].
    pub transitions: [u64; 3],
    /// Clients refused.
    pub refused: u64,
    /// Logins that succeeded, and that failed.
    pub ended: [u64; 2],
}

impl LoginReading {
    /// The numbers now.
    #[must_use]
    pub fn take(cluster: &Cluster) -> Self {
        let (outlook, counts) = (
            cluster.current_endpoint().map(|endpoint| endpoint.outlook(Instant::now())),
            cluster.login_counts(),
        );
        Self {
            name: cluster.record().name.to_string(),
            state: outlook.as_ref().map_or(0, |outlook| outlook.standing.number().into()),
            under_way: outlook.map_or(0, |outlook| outlook.logins.into()),
            transitions: counts.transitions.each_ref().map(|counter| counter.get()),
            refused: counts.refused.get(),
            ended: [counts.succeeded.get(), counts.failed.get()],
        }
    }

    /// A name may pass from one cluster to another; a series must not appear twice.
    fn add(&mut self, other: &Self) {
        self.state = self.state.max(other.state);
        self.under_way += other.under_way;
        self.refused += other.refused;
        self.transitions.iter_mut().zip(other.transitions).for_each(|(sum, count)| *sum += count);
        self.ended.iter_mut().zip(other.ended).for_each(|(sum, count)| *sum += count);
    }
}

pub(super) fn families(clusters: &[LoginReading]) -> [Family; 5] {
    let mut by_name: BTreeMap<&str, LoginReading> = BTreeMap::new();
    for cluster in clusters {
        by_name.entry(&cluster.name).or_default().add(cluster);
    }
    let mut families = [&BREAKER, &TRANSITION, &REFUSED, &UNDER_WAY, &LOGINS].map(Family::new);
    let [breaker, transition, refused, under_way, logins] = &mut families;
    for (name, reading) in by_name {
        breaker.push(&[name], reading.state);
        for (to, count) in TRANSITIONS.iter().zip(reading.transitions) {
            transition.push(&[name, to.as_str()], count);
        }
        refused.push(&[name], reading.refused);
        under_way.push(&[name], reading.under_way);
        for (result, count) in ["succeeded", "failed"].iter().zip(reading.ended) {
            logins.push(&[name, result], count);
        }
    }
    families
}

//! What is shown of this gateway's shares of the clusters' connection budgets.

use crate::metrics::family::{Family, Spec};
use crate::shared::Shared;
use std::collections::BTreeMap;

static SHARE: Spec = Spec::gauge(
    "tenantry_cluster_share",
    &["cluster"],
    "Server connections to the cluster that this gateway may hold, of the cluster's budget.",
);
static AGE: Spec = Spec::gauge(
    "tenantry_shares_age_seconds",
    &[],
    "Time since the shares of connection budgets were last renewed.",
);
static FALLBACKS: Spec = Spec::counter(
    "tenantry_share_fallbacks_total",
    &[],
    "Times that shares could not be renewed in time, and only their floors were used.",
);

/// Shares, and how sure they are.
#[derive(Debug, Clone, Default)]
pub struct ShareReading {
    /// Names of clusters, and the connections that may be held to them.
    pub clusters: Vec<(String, u64)>,
    /// Seconds since they were renewed; none before the catalog was first reached.
    pub age: Option<f64>,
    /// Times that they were lost.
    pub fallbacks: u64,
}

impl ShareReading {
    /// The numbers now.
    #[must_use]
    pub fn take(shared: &Shared) -> Self {
        let clusters = shared.pools.clusters();
        Self {
            clusters: clusters
                .iter()
                .map(|cluster| (cluster.record().name.to_string(), cluster.limit().into()))
                .collect(),
            age: shared.progress.shares_age().map(|age| age.as_secs_f64()),
            fallbacks: shared.progress.share_fallbacks(),
        }
    }
}

pub(super) fn families(reading: &ShareReading) -> [Family; 3] {
    // A name may pass from one cluster to another; a series must not appear twice.
    let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, share) in &reading.clusters {
        *by_name.entry(name).or_default() += share;
    }
    let mut shares = Family::new(&SHARE);
    by_name.iter().for_each(|(name, share)| shares.push(&[name], *share));
    let mut age = Family::new(&AGE);
    if let Some(seconds) = reading.age {
        age.push(&[], seconds);
    }
    [shares, age, Family::new(&FALLBACKS).row(&[], reading.fallbacks)]
}

//! This gateway's shares of the clusters' connection budgets.
//!
//! The catalog splits a cluster's budget over the gateways that use it. A share is held by a lease, which is renewed
//! with the heartbeat, for all clusters at once. What was told counts from when it was asked for, on a clock that
//! nobody sets, and ends well before the catalog counts on its end. Then this gateway falls back to its floor,
//! which the catalog keeps for it: never without a connection, never with one that was given to another.
//!
//! `docs/decisions/2026-11-21-budget-leases.md` says why the server never sees more than the budget.

use super::Progress;
use crate::pool::{Cluster, Demand, Registry};
use catalog_schema::{BudgetShare, CLAIM_MAX, LeaseClaim, LeaseRenewal};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenancy::{ClusterId, GatewayId};
use tokio::sync::Notify;

/// Heartbeats that may fail before shares are lost.
const LEASE_HEARTBEATS: u32 = 4;

/// The shortest lease: a machine that is busy for a moment does not lose it.
const LEASE_MIN: Duration = Duration::from_secs(4);

/// Renewals that were asked for come no faster than this.
const RENEWAL_GAP: Duration = Duration::from_millis(20);

/// While somebody waits, demand is looked at again after this: what others had idle, and what was on its way, may be
/// in use a moment later, and of a shortage that lasts nobody is told twice.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The shares, and what was said of them.
pub(super) struct Shares {
    gateway: GatewayId,
    pools: Arc<Registry>,
    progress: Arc<Progress>,
    lease: Duration,
    table: Mutex<Table>,
    renewed: Notify,
}

#[derive(Default)]
struct Table {
    /// Renewals sent, and the last one that was answered.
    sent: i64,
    answered: i64,
    sent_at: Option<Instant>,
    expires: Option<Instant>,
    shares: HashMap<ClusterId, Share>,
}

/// What is in force for one cluster.
#[derive(Debug, Clone, Copy)]
struct Share {
    share: u32,
    floor: u32,
    others_lack: bool,
    /// What the catalog was told last.
    told: LeaseClaim,
}

/// A renewal to be sent.
pub(super) struct Renewal {
    pub(super) header: LeaseRenewal,
    pub(super) claims: Vec<LeaseClaim>,
    sent_at: Instant,
}

impl Shares {
    /// None yet. `heartbeat` is how often they are renewed at least.
    #[must_use]
    pub(super) fn new(
        gateway: GatewayId,
        pools: Arc<Registry>,
        progress: Arc<Progress>,
        heartbeat: Duration,
    ) -> Self {
        let lease = (heartbeat * LEASE_HEARTBEATS).max(LEASE_MIN);
        Self { gateway, pools, progress, lease, table: Mutex::default(), renewed: Notify::new() }
    }

    /// What the catalog is to be told now.
    pub(super) fn renewal(&self) -> Renewal {
        let mut table = self.table();
        table.sent += 1;
        // Before anything is read: the lease counts from here.
        let sent_at = Instant::now();
        table.sent_at = Some(sent_at);
        let claims = self.pools.clusters().iter().map(|cluster| table.claim(cluster)).collect();
        // Half of the time between is for the last transactions to end in, and half for clocks that run differently.
        let lasts = self.lease * 7 / 4;
        let header =
            LeaseRenewal { gateway: self.gateway, number: table.sent, answered: table.answered, lasts };
        Renewal { header, claims, sent_at }
    }

    /// Puts the catalog's answer in force.
    pub(super) fn answered(&self, renewal: &Renewal, answer: &[BudgetShare]) {
        let mut table = self.table();
        table.answered = renewal.header.number;
        let answer: HashMap<ClusterId, &BudgetShare> =
            answer.iter().map(|told| (told.cluster, told)).collect();
        table.shares = renewal
            .claims
            .iter()
            .map(|claim| (claim.cluster, Share::told(*claim, answer.get(&claim.cluster).copied())))
            .collect();
        let expires = renewal.sent_at + self.lease;
        if Instant::now() >= expires {
            // Told too late.
            table.shares.values_mut().for_each(Share::expire);
        }
        table.expires = Some(expires);
        for cluster in self.pools.clusters() {
            cluster.set_limit(table.share_of(&cluster));
        }
        drop(table);
        self.progress.shares_renewed(renewal.sent_at);
        self.renewed.notify_one();
    }

    /// Resolves when the catalog is to be asked before the next heartbeat: a cluster could use more than its share,
    /// or has given up some of what others wait for.
    pub(super) async fn wanting(&self) {
        let somebody_waits = || self.pools.clusters().iter().any(|cluster| cluster.is_wanting());
        until(|| self.is_renewal_due(), somebody_waits, &self.pools.wanting()).await;
        self.pace().await;
    }

    /// Lets every lease end in time, whatever becomes of the catalog meanwhile. Never resolves.
    pub(super) async fn expire_in_time(&self) {
        loop {
            let renewed = self.renewed.notified();
            let expires = self.table().expires;
            match expires {
                None => renewed.await,
                Some(at) => tokio::select! {
                    () = renewed => {}
                    () = tokio::time::sleep_until(at.into()) => self.expire(at),
                },
            }
        }
    }

    fn expire(&self, at: Instant) {
        let mut table = self.table();
        if table.expires != Some(at) {
            return; // renewed in the last moment
        }
        table.expires = None;
        table.shares.values_mut().for_each(Share::expire);
        for cluster in self.pools.clusters() {
            cluster.set_limit(table.share_of(&cluster));
        }
        drop(table);
        self.progress.shares_lost();
        tracing::warn!("the shares of connection budgets could not be renewed; only their floors are used");
    }

    fn is_renewal_due(&self) -> bool {
        let table = self.table();
        self.pools.clusters().iter().any(|cluster| {
            let demand = cluster.demand();
            let share = table.shares.get(&cluster.id());
            share.is_none_or(|share| share.wants_more(demand) || share.gave_back(demand))
        })
    }

    /// Waits until the next renewal may be sent that nobody's heartbeat asks for.
    pub(super) async fn pace(&self) {
        let sent_at = self.table().sent_at;
        if let Some(earliest) = sent_at.map(|sent| sent + RENEWAL_GAP) {
            tokio::time::sleep_until(earliest.into()).await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when it `is_due`, which is looked at when it was `told`, and now and then while `somebody_waits`.
async fn until(is_due: impl Fn() -> bool, somebody_waits: impl Fn() -> bool, told: &Notify) {
    loop {
        // Made before the looks, so that nothing falls between them and the wait.
        let told = told.notified();
        if is_due() {
            return;
        }
        if somebody_waits() {
            // If nobody tells anything until then, it is time all the same.
            let _ = tokio::time::timeout(LOOK_INTERVAL, told).await;
        } else {
            told.await;
        }
    }
}

impl Table {
    fn share_of(&self, cluster: &Cluster) -> u32 {
        self.shares.get(&cluster.id()).map_or(0, |share| share.share)
    }

    fn claim(&self, cluster: &Cluster) -> LeaseClaim {
        let (share, floor) =
            self.shares.get(&cluster.id()).map_or((0, 0), |share| (share.share, share.floor));
        // In this order: what is in force beyond the share only falls, and what is held follows it.
        let share = share.max(cluster.in_force());
        let long = cluster.holdings().long.iter().sum();
        let Demand { held, wanted, .. } = cluster.demand();
        let [held, long, wanted] = [held, long, wanted].map(|count| count.min(CLAIM_MAX));
        LeaseClaim { cluster: cluster.id(), share, floor, held, long, wanted }
    }
}

impl Share {
    /// What was answered to a claim. A cluster that the catalog does not know has no budget.
    fn told(claim: LeaseClaim, answer: Option<&BudgetShare>) -> Self {
        Self {
            share: answer.map_or(0, |told| told.share),
            floor: answer.map_or(0, |told| told.floor),
            others_lack: answer.is_some_and(|told| told.others_lack),
            told: claim,
        }
    }

    /// Only the floor is left of it, and the catalog is not to be told of anything before it can be reached.
    fn expire(&mut self) {
        (self.share, self.others_lack) = (self.floor, false);
    }

    /// It could use more than it has, and the catalog knows nothing of that. Once it does, it says when there is more.
    fn wants_more(&self, demand: Demand) -> bool {
        demand.wanted > self.share && self.told.wanted <= self.share || self.has_filled_up(demand)
    }

    /// It holds all that it may, and the catalog, which gives a part of what nobody uses beyond what is held, knows of
    /// less. However much of it is idle: whoever comes next takes that from somebody who will want it back, and each of
    /// the two pays with a login.
    fn has_filled_up(&self, demand: Demand) -> bool {
        demand.held >= self.share && demand.held > self.told.held
    }

    /// It has given back some of what others wait for, since the catalog was told.
    fn gave_back(&self, demand: Demand) -> bool {
        self.others_lack && demand.held.max(self.share) < self.told.held.max(self.told.share)
    }
}

#[cfg(test)]
mod tests;

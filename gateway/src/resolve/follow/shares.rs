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
    budget: u32,
    others_lack: bool,
    /// What the catalog was told last.
    told: Demand,
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
            .map(|claim| (claim.cluster, Share::told(claim, answer.get(&claim.cluster).copied())))
            .collect();
        table.expires = Some(renewal.sent_at + self.lease);
        for cluster in self.pools.clusters() {
            cluster.set_limit(table.shares.get(&cluster.id()).map_or(0, |share| share.share));
        }
        drop(table);
        self.progress.shares_renewed(renewal.sent_at);
        self.renewed.notify_one();
    }

    /// Resolves when the catalog is to be asked before the next heartbeat: a cluster could use more than its share,
    /// or others wait to hear that it has given up what is theirs.
    pub(super) async fn wanting(&self) {
        let wanting = self.pools.wanting();
        loop {
            let told = wanting.notified();
            let (is_due, is_shrinking) = self.look();
            if is_due {
                return self.pace().await;
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(RENEWAL_GAP), if is_shrinking => {}
            }
        }
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
        for share in table.shares.values_mut() {
            (share.share, share.others_lack) = (share.floor, false);
        }
        for cluster in self.pools.clusters() {
            cluster.set_limit(table.shares.get(&cluster.id()).map_or(0, |share| share.floor));
        }
        drop(table);
        self.progress.shares_lost();
        tracing::warn!("the shares of connection budgets could not be renewed; only their floors are used");
    }

    /// Is a renewal due; and is a share still being given up for others?
    fn look(&self) -> (bool, bool) {
        let table = self.table();
        let (mut is_due, mut is_shrinking) = (false, false);
        for cluster in self.pools.clusters() {
            let demand = cluster.demand();
            let Some(share) = table.shares.get(&cluster.id()) else {
                is_due = true;
                continue;
            };
            is_due |= share.wants_more(demand) || share.gave_back(demand);
            if share.others_lack && demand.held > share.share {
                is_shrinking = true;
                // Connections have become idle since.
                cluster.set_limit(share.share);
            }
        }
        (is_due, is_shrinking)
    }

    async fn pace(&self) {
        let sent_at = self.table().sent_at;
        if let Some(earliest) = sent_at.map(|sent| sent + RENEWAL_GAP) {
            tokio::time::sleep_until(earliest.into()).await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn claim(&self, cluster: &Cluster) -> LeaseClaim {
        let (share, floor) =
            self.shares.get(&cluster.id()).map_or((0, 0), |share| (share.share, share.floor));
        let Demand { held, wanted } = cluster.demand();
        let [held, wanted] = [held, wanted].map(|count| count.min(CLAIM_MAX));
        LeaseClaim { cluster: cluster.id(), share, floor, held, wanted }
    }
}

impl Share {
    /// What was answered to a claim. A cluster that the catalog does not know has no budget.
    fn told(claim: &LeaseClaim, answer: Option<&BudgetShare>) -> Self {
        Self {
            share: answer.map_or(0, |told| told.share),
            floor: answer.map_or(0, |told| told.floor),
            budget: answer.map_or(0, |told| told.budget),
            others_lack: answer.is_some_and(|told| told.others_lack),
            told: Demand { held: claim.held, wanted: claim.wanted },
        }
    }

    /// It could use more than it has, and more than the catalog knows of. The whole budget is the most that anybody
    /// can be given.
    fn wants_more(&self, demand: Demand) -> bool {
        demand.wanted > self.share && demand.wanted.min(self.budget) > self.told.wanted
    }

    /// It held what others wait for, and does no longer.
    fn gave_back(&self, demand: Demand) -> bool {
        self.others_lack && demand.held <= self.share
    }
}

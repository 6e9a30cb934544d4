//! One PostgreSQL server as this gateway uses it.

use super::breaker::{Endpoint, LoginCounts};
use super::servers::Servers;
use super::{Budget, ConnectPermit, Pool};
use arc_swap::ArcSwap;
use catalog_schema::ClusterRecord;
use config::PoolConfig;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tenancy::ClusterId;
use tokio::sync::Notify;

/// A connection is not taken from a pool that used it this recently: its client is likely to
/// come back at once, and closing and opening would cost both more than waiting costs one.
const IDLE_BEFORE_TAKEN: Duration = Duration::from_millis(5);

/// What a gateway does with its share of a cluster's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Connections open, being opened or being closed.
    pub held: u32,
    /// Connections that are leased, and those that check-outs wait for.
    pub wanted: u32,
}

/// A cluster, its budget, and the pools that share it.
pub struct Cluster {
    record: ArcSwap<ClusterRecord>,
    /// Held while a newer record comes into force, so that it does so whole.
    updating: Mutex<()>,
    budget: Arc<Budget>,
    /// What this gateway may hold of the cluster's connection budget.
    share: AtomicU32,
    /// Told when check-outs wait for more than the share allows.
    wanting: Arc<Notify>,
    pools: Mutex<Vec<Weak<Pool>>>,
    servers: Arc<Servers>,
    /// Where it is, and where routes say that it is that have not heard of its move.
    endpoints: Mutex<Vec<Arc<Endpoint>>>,
    login_counts: Arc<LoginCounts>,
}

impl Cluster {
    /// A cluster that no pool uses yet, with its whole budget for this gateway.
    #[must_use]
    pub fn new(record: ClusterRecord) -> Self {
        let whole = record.connection_budget;
        Self::with_share(record, whole, Arc::default())
    }

    /// A cluster that no pool uses yet, of whose budget this gateway may hold nothing before it has been given a
    /// share: see [`Cluster::set_limit`]. `wanting` is told when it could use more than it may hold.
    #[must_use]
    pub fn shared(record: ClusterRecord, wanting: Arc<Notify>) -> Self {
        Self::with_share(record, 0, wanting)
    }

    fn with_share(record: ClusterRecord, limit: u32, wanting: Arc<Notify>) -> Self {
        Self {
            budget: Budget::new(limit),
            share: AtomicU32::new(if limit == 0 { 0 } else { u32::MAX }),
            wanting,
            record: ArcSwap::from_pointee(record),
            updating: Mutex::new(()),
            pools: Mutex::new(Vec::new()),
            servers: Arc::default(),
            endpoints: Mutex::default(),
            login_counts: Arc::default(),
        }
    }

    /// The cluster's id.
    #[must_use]
    pub fn id(&self) -> ClusterId {
        self.record.load().id
    }

    /// What the catalog says of it.
    #[must_use]
    pub fn record(&self) -> Arc<ClusterRecord> {
        self.record.load_full()
    }

    /// The connections it may be asked for.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Its open connections.
    #[must_use]
    pub fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// Puts what a route says of the cluster in force, unless another route has said something newer. Routes are
    /// read one by one, so an older one may well come after a newer one.
    pub fn update(&self, record: &ClusterRecord) {
        if record.version <= self.record.load().version {
            return;
        }
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        if record.version > self.record.load().version {
            self.put_in_force(record);
        }
    }

    /// Puts what the catalog says of the cluster in force although it is older than what is known: the catalog was
    /// restored.
    pub fn restore(&self, record: &ClusterRecord) {
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.put_in_force(record);
    }

    fn put_in_force(&self, record: &ClusterRecord) {
        self.record.store(Arc::new(record.clone()));
        self.limit_to(self.share(), record);
    }

    /// What this gateway may hold of the cluster's budget from now on. What it holds beyond that is given up as it
    /// becomes idle.
    pub fn set_limit(&self, share: u32) {
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.share.store(share, Ordering::Release);
        self.limit_to(share, &self.record());
    }

    /// What this gateway may hold of the cluster's budget, however small that has become.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.share.load(Ordering::Acquire)
    }

    fn limit_to(&self, share: u32, record: &ClusterRecord) {
        self.budget.set_limit(share.min(record.connection_budget));
        while self.budget.excess() > 0 && self.close_least_recently_used() {}
    }

    /// What is held, and what could be used.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let pools: Vec<Arc<Pool>> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        let wanted = pools.iter().map(|pool| pool.leased() + pool.opening()).sum();
        Demand { held: self.budget.used(), wanted }
    }

    /// The address in this record, shared by all pools that lead there.
    pub fn endpoint(&self, record: &ClusterRecord, settings: &PoolConfig) -> Arc<Endpoint> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = endpoints.iter().find(|endpoint| endpoint.is_of(record)) {
            return Arc::clone(known);
        }
        // Those that no pool leads to any more.
        endpoints.retain(|endpoint| Arc::strong_count(endpoint) > 1);
        let endpoint = Endpoint::new(record, settings, Arc::clone(&self.login_counts));
        endpoints.push(Arc::clone(&endpoint));
        endpoint
    }

    /// What was counted of logins to it.
    #[must_use]
    pub fn login_counts(&self) -> &LoginCounts {
        &self.login_counts
    }

    /// The address at which it is now, once a pool leads there.
    #[must_use]
    pub fn current_endpoint(&self) -> Option<Arc<Endpoint>> {
        let record = self.record();
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.iter().find(|endpoint| endpoint.is_of(&record)).cloned()
    }

    /// Adds a pool to those that share the budget.
    pub fn join(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|other| other.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// The right to open one connection, closing idle ones of other pools if need be.
    pub async fn permit(&self) -> ConnectPermit {
        if self.budget.used() >= self.budget.limit() {
            self.wanting.notify_one();
        }
        self.budget.acquire(|| self.close_least_recently_used()).await
    }

    /// Closes the idle connection whose pool was used longest ago.
    fn close_least_recently_used(&self) -> bool {
        let candidates: Vec<Arc<Pool>> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().filter_map(Weak::upgrade).filter(|pool| pool.idle() > 0).collect()
        };
        candidates
            .iter()
            .filter(|pool| pool.unused_for() >= IDLE_BEFORE_TAKEN)
            .max_by_key(|pool| pool.unused_for())
            .is_some_and(|pool| pool.evict_one())
    }
}

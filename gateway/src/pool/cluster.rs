//! One PostgreSQL server as this gateway uses it.

mod core;
mod long;

use self::core::Core;
use super::Pool;
use super::allocator::{Action, Allocator, Holdings, LongHold, MemberId, Reason, Release, Standing, Terms};
use super::breaker::{Endpoint, LoginCounts};
use super::idle::Glance;
use super::permit::{ConnectPermit, LongPermit};
use super::servers::Servers;
use crate::error::Refusal;
use arc_swap::ArcSwap;
use catalog_schema::ClusterRecord;
use config::PoolConfig;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tenancy::{ClusterId, ErrorKind, TenantId};
use tokio::sync::{Notify, oneshot};

/// Of a cluster's budget, what may be held for longer than a transaction where nothing else is said, in percent.
const LONG_PERCENT: u32 = 80;

/// What a gateway does with its share of a cluster's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Connections open, being opened or being closed.
    pub held: u32,
    /// What would have to be allowed for nobody to wait: connections that are leased, those that check-outs wait for and
    /// what is kept free for floors beside these; or what it takes to let those keep one who wait for that.
    pub wanted: u32,
}

/// What has become of connections so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turnover {
    /// Permits granted.
    pub grants: u64,
    /// Idle connections closed for others, by reason.
    pub evictions: [u64; Reason::ALL.len()],
    /// Connections closed for others when they were given back, by reason.
    pub yields: [u64; Reason::ALL.len()],
}

/// A cluster, its budget, and the pools that share it.
pub struct Cluster {
    record: ArcSwap<ClusterRecord>,
    /// Held while a newer record comes into force, so that it does so whole.
    updating: Mutex<()>,
    core: Mutex<Core>,
    /// Somebody lacks a connection that is neither free nor on its way. Looked at whenever one is given back.
    is_short: AtomicBool,
    /// When the allocator looks again by itself, in microseconds on `clock`.
    looks_at_us: AtomicU64,
    clock: Instant,
    /// What this gateway may hold of the cluster's connection budget.
    share: AtomicU32,
    /// Told when the share is held whole or check-outs wait for more, and when some of what exceeds it was given up.
    wanting: Arc<Notify>,
    /// Told when nothing is held any more.
    emptied: Notify,
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
        Self::with_share(record, whole, Arc::default(), LONG_PERCENT)
    }

    /// A cluster that no pool uses yet, of whose budget this gateway may hold nothing before it has been given a
    /// share: see [`Cluster::set_limit`]. `wanting` is told when it could use more than it may hold, and when it has
    /// given up some of what it held beyond that.
    #[must_use]
    pub fn shared(record: ClusterRecord, wanting: Arc<Notify>) -> Self {
        Self::with_share(record, 0, wanting, LONG_PERCENT)
    }

    /// The same with another share of the budget, in percent, for connections that are held for longer than a
    /// transaction.
    #[must_use]
    pub fn holding_long(self, percent: u32) -> Self {
        let limit = self.limit();
        Self { core: Mutex::new(Core::new(Allocator::new(limit, percent))), ..self }
    }

    fn with_share(record: ClusterRecord, limit: u32, wanting: Arc<Notify>, long_percent: u32) -> Self {
        Self {
            core: Mutex::new(Core::new(Allocator::new(limit, long_percent))),
            is_short: AtomicBool::new(false),
            looks_at_us: AtomicU64::new(u64::MAX),
            clock: Instant::now(),
            share: AtomicU32::new(if limit == 0 { 0 } else { u32::MAX }),
            wanting,
            emptied: Notify::new(),
            record: ArcSwap::from_pointee(record),
            updating: Mutex::new(()),
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

    /// Its open connections.
    #[must_use]
    pub fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// Puts what a route says of the cluster in force, unless another route has said something newer. Routes are
    /// read one by one, so an older one may well come after a newer one.
    pub fn update(self: &Arc<Self>, record: &ClusterRecord) {
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
    pub fn restore(self: &Arc<Self>, record: &ClusterRecord) {
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.put_in_force(record);
    }

    fn put_in_force(self: &Arc<Self>, record: &ClusterRecord) {
        self.record.store(Arc::new(record.clone()));
        self.limit_to(self.share(), record);
    }

    /// What this gateway may hold of the cluster's budget from now on. What it holds beyond that is given up as
    /// transactions end.
    pub fn set_limit(self: &Arc<Self>, share: u32) {
        let _one_at_a_time = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.share.store(share, Ordering::Release);
        self.limit_to(share, &self.record());
    }

    /// What this gateway may hold of the cluster's budget, however small that has become.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.share.load(Ordering::Acquire)
    }

    fn limit_to(self: &Arc<Self>, share: u32, record: &ClusterRecord) {
        let limit = share.min(record.connection_budget);
        if limit != self.limit() {
            self.limit_is(limit);
        }
    }

    /// The most connections that may be held now.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.core().allocator.limit()
    }

    /// The same with what long holders keep that the limit has fallen below: see [`Allocator::in_force`].
    #[must_use]
    pub fn in_force(&self) -> u32 {
        self.core().allocator.in_force()
    }

    /// What its connections are used for.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        self.core().allocator.holdings()
    }

    /// What one pool has, and what is due to it.
    #[must_use]
    pub fn standing(&self, pool: MemberId) -> Standing {
        self.core().allocator.standing(pool)
    }

    /// What has become of connections so far.
    #[must_use]
    pub fn turnover(&self) -> Turnover {
        let core = self.core();
        let allocator = &core.allocator;
        Turnover { grants: allocator.grants(), evictions: allocator.evictions(), yields: allocator.yields() }
    }

    /// What is held, and what could be used.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let core = self.core();
        let Holdings { held, closing, .. } = core.allocator.holdings();
        let in_use = held.saturating_sub(closing + core.idle());
        let wanted = core.allocator.useful_limit(in_use).max(core.useful_limit_for_long());
        Demand { held, wanted }
    }

    /// Does somebody wait who would not if more were allowed? It may take no more than what others have idle.
    #[must_use]
    pub fn is_wanting(&self) -> bool {
        let core = self.core();
        core.allocator.is_short() || core.useful_limit_for_long() > core.allocator.limit()
    }

    /// Resolves when nothing is held any more.
    pub async fn all_returned(&self) {
        loop {
            // Made before the look, so that no return falls between the two.
            let emptied = self.emptied.notified();
            if self.core().allocator.held() == 0 {
                return;
            }
            emptied.await;
        }
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

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client hears for whom no connection may be kept.
pub(super) fn too_many_long_holds() -> Refusal {
    let message = "too many of the cluster's connections are kept by single clients";
    Refusal::new(ErrorKind::LongHolds, message).hint(
        "a session that listens, locks, has temporary objects or is in session mode keeps a connection: end such \
         sessions sooner, or ask for more connections",
    )
}

//! The connections to one (cluster, database, role).

use super::manager::ServerManager;
use super::{Cluster, PoolKey};
use crate::connect::{Connector, ServerConnection};
use crate::metrics::TenantUsage;
use crate::relay::prepared::StatementCache;
use crate::relay::welcome::Welcomes;
use catalog_schema::PlacementRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tenancy::Limits;
use tokio::sync::{Notify, Semaphore};

/// The largest pool that any plan can ask for; `bb8` needs a number before the plan is known to stay.
const POOL_SIZE_MAX: u32 = 10_000;

/// A pool of interchangeable server connections.
pub struct Pool {
    key: PoolKey,
    placement: PlacementRecord,
    pub(super) connections: bb8::Pool<ServerManager>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) connector: Arc<Connector>,
    /// One for every connection that the plan lets the tenant use at once. Closed once the pool is retired.
    pub(super) slots: Arc<Semaphore>,
    pub(super) limits: Limits,
    /// Idle connections that nobody has claimed. Whoever lowers it owns one of them.
    idle: AtomicU32,
    pub(super) opening: AtomicU32,
    pub(super) leased: AtomicU32,
    pub(super) waiting: AtomicU32,
    /// Rung when a connection became idle while somebody waits for the cluster's budget.
    pub(super) returned: Notify,
    created: Instant,
    last_used_ms: AtomicU64,
    usage: Arc<TenantUsage>,
    statements: StatementCache,
    welcomes: Welcomes,
}

impl Pool {
    /// An empty pool. It opens nothing before somebody asks.
    #[must_use]
    pub fn new(
        key: PoolKey,
        placement: PlacementRecord,
        cluster: Arc<Cluster>,
        connector: Connector,
        limits: Limits,
        usage: Arc<TenantUsage>,
    ) -> Arc<Self> {
        let connector = Arc::new(connector);
        let manager = ServerManager { cluster: Arc::clone(&cluster), connector: Arc::clone(&connector) };
        let connections = bb8::Pool::builder()
            .max_size(POOL_SIZE_MAX)
            .min_idle(None)
            .test_on_check_out(false)
            .retry_connection(false)
            .idle_timeout(None)
            .max_lifetime(None)
            // The connection used last is the warmest; the others may grow old and be closed.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .build_unchecked(manager);
        let pool = Arc::new(Self {
            key,
            placement,
            connections,
            slots: Arc::new(Semaphore::new(limits.pool_size.min(POOL_SIZE_MAX) as usize)),
            limits,
            idle: AtomicU32::new(0),
            opening: AtomicU32::new(0),
            leased: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            returned: Notify::new(),
            created: Instant::now(),
            last_used_ms: AtomicU64::new(0),
            usage,
            statements: StatementCache::default(),
            welcomes: Welcomes::default(),
            cluster,
            connector,
        });
        pool.cluster.join(&pool);
        pool
    }

    /// What the pool connects to.
    #[must_use]
    pub fn key(&self) -> &PoolKey {
        &self.key
    }

    /// The route's end that it was made for. Its connections are good for no other.
    #[must_use]
    pub fn placement(&self) -> &PlacementRecord {
        &self.placement
    }

    /// The server it connects to.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The limits it was made with; a change of plan makes a new pool.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Idle connections.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.idle.load(Ordering::Acquire)
    }

    /// Connections in use.
    #[must_use]
    pub fn leased(&self) -> u32 {
        self.leased.load(Ordering::Acquire)
    }

    /// Connections being opened, or waiting for the budget to allow it.
    #[must_use]
    pub fn opening(&self) -> u32 {
        self.opening.load(Ordering::Acquire)
    }

    /// Clients that wait for a connection.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// What the tenant used, for the metrics.
    #[must_use]
    pub fn usage(&self) -> &Arc<TenantUsage> {
        &self.usage
    }

    /// The texts of statements that clients of this pool prepared.
    #[must_use]
    pub fn statements(&self) -> &StatementCache {
        &self.statements
    }

    /// What the server says to a client that connects.
    #[must_use]
    pub fn welcomes(&self) -> &Welcomes {
        &self.welcomes
    }

    /// How long nobody has taken or returned a connection.
    #[must_use]
    pub fn unused_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_used_ms.load(Ordering::Acquire));
        self.created.elapsed().saturating_sub(last)
    }

    /// The route has changed: nothing new is opened, what is idle is closed, what is in use is
    /// closed when it comes back, and whoever waits is told at once.
    pub fn retire(&self) {
        self.slots.close();
        self.returned.notify_waiters();
        while self.evict_one() {}
    }

    /// No longer the pool of any route.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.slots.is_closed()
    }

    /// Closes one idle connection. Says whether there was one.
    pub fn evict_one(&self) -> bool {
        let Some(connection) = self.claim_idle() else {
            return false;
        };
        drop(connection.broken());
        self.usage.evictions.inc();
        true
    }

    /// Closes idle connections that are older or longer unused than allowed. The others keep their order.
    pub fn close_stale(&self, idle_timeout: Duration, lifetime_max: Duration) {
        // All at once: a connection that is put back is the next one to be taken.
        let count = usize::try_from(self.idle()).unwrap_or(usize::MAX);
        let claimed: Vec<Claimed> = std::iter::from_fn(|| self.claim_idle()).take(count).collect();
        for mut connection in claimed.into_iter().rev() {
            let stale = connection.idle_for() >= idle_timeout
                || connection.age() >= lifetime_max
                || !connection.is_quiet_now();
            if stale {
                drop(connection.broken());
            } else {
                self.put_idle(connection);
            }
        }
    }

    /// Takes an idle connection out, if there is one. Never waits and never opens one.
    pub(super) fn claim_idle(&self) -> Option<Claimed> {
        self.idle.fetch_update(Ordering::AcqRel, Ordering::Acquire, |idle| idle.checked_sub(1)).ok()?;
        // The claim says that `bb8` holds a connection for us, so the first poll yields it.
        let taken = futures_util::FutureExt::now_or_never(self.connections.get_owned());
        match taken {
            Some(Ok(connection)) => Some(Claimed(connection)),
            Some(Err(_)) | None => None,
        }
    }

    /// Gives a connection to whoever asks next.
    pub(super) fn put_idle(&self, connection: Claimed) {
        drop(connection);
        self.announce_idle();
    }

    /// Takes over a connection that was just opened.
    pub(super) fn add(&self, connection: ServerConnection) {
        if self.connections.add(connection).is_ok() {
            self.announce_idle();
        }
    }

    pub(super) fn touch(&self) {
        let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_used_ms.store(now, Ordering::Release);
    }

    fn announce_idle(&self) {
        self.idle.fetch_add(1, Ordering::AcqRel);
        self.returned.notify_one();
        if self.is_retired() {
            // It was retired after its idle connections were closed and before this one was among them.
            while self.evict_one() {}
        }
    }
}

/// A connection that was taken out of the idle ones. Dropping it puts it back into `bb8` unless it
/// was marked broken; only [`Pool::put_idle`] makes it claimable again.
pub(super) struct Claimed(pub(super) bb8::PooledConnection<'static, ServerManager>);

impl Claimed {
    fn broken(mut self) -> Self {
        self.0.condemn();
        self
    }

    fn idle_for(&self) -> Duration {
        self.0.idle_for()
    }

    fn age(&self) -> Duration {
        self.0.age()
    }

    fn is_quiet_now(&mut self) -> bool {
        self.0.is_quiet()
    }
}

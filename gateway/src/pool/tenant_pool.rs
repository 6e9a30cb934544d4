//! The connections to one (cluster, database, role).

use super::idle::IdleConnections;
use super::servers::Purpose;
use super::{Cluster, PoolKey};
use crate::connect::{Connector, ServerConnection};
use crate::metrics::TenantUsage;
use crate::relay::handover::database::Database;
use crate::relay::notify::hub::Hub;
use crate::relay::prepared::StatementCache;
use crate::relay::welcome::Welcomes;
use catalog_schema::PlacementRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tenancy::Limits;
use tokio::sync::{Notify, Semaphore};

/// The largest pool that any plan can ask for.
const POOL_SIZE_MAX: u32 = 10_000;

/// A pool of interchangeable server connections.
pub struct Pool {
    key: PoolKey,
    placement: PlacementRecord,
    pub(super) cluster: Arc<Cluster>,
    pub(super) connector: Connector,
    /// One for every connection that the plan lets the tenant use at once. Closed once the pool is retired.
    pub(super) slots: Arc<Semaphore>,
    pub(super) limits: Limits,
    pub(super) idle: IdleConnections,
    pub(super) opening: AtomicU32,
    pub(super) leased: AtomicU32,
    pub(super) waiting: AtomicU32,
    /// Rung when a connection became idle while somebody waits for the cluster's budget.
    pub(super) returned: Notify,
    created: Instant,
    last_used_ms: AtomicU64,
    usage: Arc<TenantUsage>,
    statements: StatementCache,
    database: Database,
    welcomes: Welcomes,
    notifications: Hub,
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
        statements: StatementCache,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            key,
            placement,
            slots: Arc::new(Semaphore::new(limits.pool_size.min(POOL_SIZE_MAX) as usize)),
            limits,
            idle: IdleConnections::default(),
            opening: AtomicU32::new(0),
            leased: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            returned: Notify::new(),
            created: Instant::now(),
            last_used_ms: AtomicU64::new(0),
            usage,
            statements,
            welcomes: Welcomes::default(),
            notifications: Hub::default(),
            database: Database::default(),
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
        self.idle.count()
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

    /// What code in the database could do to a session.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What the server says to a client that connects.
    #[must_use]
    pub fn welcomes(&self) -> &Welcomes {
        &self.welcomes
    }

    /// What clients listen to without connections of their own.
    #[must_use]
    pub fn notifications(&self) -> &Hub {
        &self.notifications
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
        self.notifications.close();
    }

    /// No longer the pool of any route.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.slots.is_closed()
    }

    /// Closes one idle connection. Says whether there was one.
    pub fn evict_one(&self) -> bool {
        let closed = self.idle.take().is_some();
        if closed {
            self.usage.evictions.inc();
        }
        closed
    }

    /// Closes idle connections that are older or longer unused than allowed.
    pub fn close_stale(&self, idle_timeout: Duration, lifetime_max: Duration) {
        drop(self.idle.take_unless(|connection| {
            connection.idle_for() < idle_timeout && connection.age() < lifetime_max && connection.is_quiet()
        }));
    }

    /// Takes over a connection that was just opened.
    pub(super) fn add(&self, mut connection: ServerConnection) {
        self.welcomes.logged_in(&connection.parameters);
        connection.list(self.cluster.servers(), |address, local, process_id, is_encrypted| Purpose {
            usage: Arc::clone(&self.usage),
            clock: self.created,
            database: self.key.database.clone(),
            role: self.key.role.clone(),
            address,
            local,
            process_id,
            is_encrypted,
        });
        self.put_idle(Box::new(connection));
    }

    /// Gives a connection to whoever asks next.
    pub(super) fn put_idle(&self, connection: Box<ServerConnection>) {
        self.idle.put(connection);
        self.returned.notify_one();
        if self.is_retired() {
            // It was retired after its idle connections were closed and before this one was among them.
            while self.evict_one() {}
        }
    }

    /// Notes that it was used, and says when: how long after it was made.
    pub(super) fn touch(&self) -> Duration {
        let now = self.created.elapsed();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.last_used_ms.store(now_ms, Ordering::Release);
        now
    }
}

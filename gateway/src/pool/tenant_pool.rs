//! The connections to one (cluster, database, role), for clients of one access.

use super::allocator::MemberId;
use super::expiry::Expiry;
use super::idle::Glance;
use super::siblings::Siblings;
use super::state::{self, State};
use super::{Cluster, Destination, PoolKey};
use crate::connect::{Connector, ServerConnection, SessionDefaults};
use crate::metrics::TenantUsage;
use crate::relay::handover::database::Database;
use crate::relay::notify::hub::Hub;
use crate::relay::notify::settling::POOL_SIZE_MIN;
use crate::relay::prepared::StatementCache;
use crate::relay::welcome::Welcomes;
use catalog_schema::RouteRecord;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tenancy::{Access, Limits};

/// A pool of interchangeable server connections.
pub struct Pool {
    destination: Destination,
    cluster: Arc<Cluster>,
    pub(super) connector: Connector,
    pub(super) expiry: Arc<Expiry>,
    /// Which member of the cluster's budget it is.
    member: MemberId,
    siblings: Arc<Siblings>,
    state: Mutex<State>,
    // Changed under the lock only, and looked at without it.
    pub(super) opening: AtomicU32,
    pub(super) leased: AtomicU32,
    pub(super) waiting: AtomicU32,
    pub(super) retired: AtomicBool,
    glance: Arc<Glance>,
    /// Clients in session mode that wait until they may have a connection at all.
    pub(super) waiting_for_long_hold: AtomicU32,
    pub(super) created: Instant,
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
        destination: Destination,
        cluster: Arc<Cluster>,
        connector: Connector,
        expiry: Arc<Expiry>,
        limits: Limits,
        usage: Arc<TenantUsage>,
        statements: StatementCache,
    ) -> Arc<Self> {
        let glance = Glance::new(cluster.clock());
        let pool = Arc::new_cyclic(|pool: &Weak<Self>| {
            let terms = state::terms(&limits);
            let (member, siblings) =
                cluster.join(destination.tenant, terms, pool.clone(), Arc::clone(&glance));
            Self {
                destination,
                member,
                siblings,
                state: Mutex::new(State::new(limits, Arc::clone(&glance))),
                expiry,
                opening: AtomicU32::new(0),
                leased: AtomicU32::new(0),
                waiting: AtomicU32::new(0),
                retired: AtomicBool::new(false),
                glance,
                waiting_for_long_hold: AtomicU32::new(0),
                created: Instant::now(),
                last_used_ms: AtomicU64::new(0),
                usage,
                statements,
                welcomes: Welcomes::default(),
                notifications: Hub::default(),
                database: Database::default(),
                cluster,
                connector,
            }
        });
        // It goes when nobody has used it for a while.
        pool.locked(|pool| pool.expire_when_empty());
        pool
    }

    /// What the pool connects to.
    #[must_use]
    pub fn key(&self) -> &PoolKey {
        &self.destination.key
    }

    /// What its clients may do. It serves no others.
    #[must_use]
    pub fn access(&self) -> Access {
        self.destination.key.access
    }

    /// Where its connections lead, and whose they are. They are good for nothing else.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The server it connects to.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Its place among those who share the cluster's budget.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// What it knows of the tenant's other pools, and they of it.
    pub(super) fn siblings(&self) -> &Arc<Siblings> {
        &self.siblings
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Puts other limits in force, for whoever waits as well. Connections beyond them go as they become idle; a last one
    /// is for all, and not to listen on.
    pub fn set_limits(self: &Arc<Self>, limits: Limits) {
        if self.limits() != limits {
            self.locked(|pool| pool.set_limits(limits));
            if self.cluster.listens_on_all(self.member) {
                self.notifications.close();
            }
        }
        if limits.pool_size < POOL_SIZE_MIN {
            self.notifications.close();
        }
    }

    /// Has it follow a route that leads where it does: its limits, and what sessions begin with.
    pub(super) fn follow(self: &Arc<Self>, route: &RouteRecord) {
        self.set_limits(route.limits);
        if self.connector.set_session_defaults(SessionDefaults::of(route)) {
            self.locked(|pool| pool.let_go_of_outdated());
        }
    }

    /// What its sessions begin with now.
    #[must_use]
    pub fn session_defaults(&self) -> SessionDefaults {
        self.connector.session_defaults()
    }

    /// Idle connections.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.glance.count()
    }

    /// Connections in use. Whoever has closed the gate before finds every connection counted whose user saw the gate
    /// open.
    #[must_use]
    pub fn leased(&self) -> u32 {
        self.leased.load(Ordering::SeqCst)
    }

    /// Connections being opened.
    #[must_use]
    pub fn opening(&self) -> u32 {
        self.opening.load(Ordering::Acquire)
    }

    /// Clients that wait for a connection.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// The same, and those that wait until they may keep one for their session.
    #[must_use]
    pub fn waiting_in_all(&self) -> u32 {
        self.waiting() + self.waiting_for_long_hold.load(Ordering::Acquire)
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
        self.last_used().elapsed()
    }

    /// When somebody last took or returned a connection; when it was made, if nobody did.
    pub(super) fn last_used(&self) -> Instant {
        self.created + Duration::from_millis(self.last_used_ms.load(Ordering::Acquire))
    }

    /// The route has changed: nothing new is opened, what is idle is closed, what is in use is
    /// closed when it comes back, and whoever waits is told at once.
    pub fn retire(self: &Arc<Self>) {
        self.locked(|pool| pool.retire());
        self.cluster.leave(self.member);
        self.cluster.carry_out();
        self.notifications.close();
    }

    /// Its gate was closed: whoever waits here goes and waits there.
    pub fn hold_back(self: &Arc<Self>) {
        self.locked(|pool| pool.hold_back());
        self.cluster.ask_again_for_long(self.member);
    }

    /// No longer the pool of any route.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Closes one idle connection. Says whether there was one.
    pub fn evict_one(self: &Arc<Self>) -> bool {
        self.locked(|pool| pool.evict())
    }

    /// The same for others, as the allocator says.
    pub(super) fn evict_for_others(self: &Arc<Self>) {
        self.locked(|pool| pool.evict_for_others());
    }

    /// Others lack connections, and this pool has more than its share.
    pub(super) fn yield_to_others(self: &Arc<Self>) {
        self.locked(|pool| pool.asked());
    }

    /// Closes idle connections that are stale. Says whether the pool itself may be forgotten.
    pub(super) fn let_go_of_stale(self: &Arc<Self>, due: Instant, now: Instant) -> bool {
        self.locked(|pool| pool.let_go_of_stale(due, now))
    }

    /// An idle connection, unless somebody waits for one. It counts as leased.
    pub(super) fn take_idle(self: &Arc<Self>) -> Option<Box<ServerConnection>> {
        self.locked(|pool| pool.lease_idle())
    }

    /// A leased connection comes back, clean.
    pub(super) fn give_back(self: &Arc<Self>, connection: Box<ServerConnection>, now: Instant) {
        self.locked(|pool| pool.give_back(connection, now));
    }

    /// A leased connection does not.
    pub(super) fn lose(self: &Arc<Self>, connection: Box<ServerConnection>) {
        self.locked(|pool| pool.lose(connection));
    }

    /// Notes that it is used now, and says when that is: how long after it was made.
    pub(super) fn touch(&self, now: Instant) -> Duration {
        let now = now.saturating_duration_since(self.created);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.last_used_ms.store(now_ms, Ordering::Release);
        now
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.cluster.leave(self.member);
        // What was kept for it may be others' now.
        self.cluster.carry_out();
    }
}

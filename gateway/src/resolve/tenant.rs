//! One tenant as this gateway knows it.

use crate::admit::gate::Gate;
use crate::admit::rate::{Book, Meter};
use crate::metrics::TenantUsage;
use arc_swap::ArcSwap;
use catalog_schema::RouteRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use tenancy::{Limits, StorageStanding, TenantId, TenantState};
use tokio_util::sync::CancellationToken;

/// A tenant that was looked up at least once: its route, who is connected for it, what it used.
pub struct Tenant {
    id: TenantId,
    route: ArcSwap<RouteRecord>,
    usage: Arc<TenantUsage>,
    clients: Arc<AtomicU32>,
    gate: Gate,
    meter: Arc<Meter>,
    /// Cancelled when the tenant's clients have to leave; a tenant that comes back gets a new one.
    leave: ArcSwap<CancellationToken>,
    drain: CancellationToken,
    started: Instant,
    /// Milliseconds after `started` at which the route was last asked for: the cache's LRU order.
    last_used_ms: AtomicU64,
}

impl Tenant {
    /// A tenant seen for the first time. `drain` is the whole gateway's shutdown.
    #[must_use]
    pub fn new(record: RouteRecord, drain: CancellationToken) -> Self {
        Self::written_in(record, drain, Arc::default())
    }

    /// The same, of those whose rates are shared out together.
    #[must_use]
    pub fn written_in(record: RouteRecord, drain: CancellationToken, book: Arc<Book>) -> Self {
        Self {
            id: record.tenant_id,
            meter: Arc::new(Meter::new(record.tenant_id, &record.limits, book)),
            usage: Arc::new(TenantUsage::new(record.slug.as_str())),
            route: ArcSwap::from_pointee(record),
            clients: Arc::new(AtomicU32::new(0)),
            gate: Gate::default(),
            leave: ArcSwap::from_pointee(drain.child_token()),
            drain,
            started: Instant::now(),
            last_used_ms: AtomicU64::new(0),
        }
    }

    /// The tenant's id.
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.id
    }

    /// The route as of now.
    #[must_use]
    pub fn route(&self) -> Arc<RouteRecord> {
        self.route.load_full()
    }

    /// What it may use, as of now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.route.load().limits
    }

    /// How it stands with its storage quota, as of now.
    #[must_use]
    pub fn storage(&self) -> StorageStanding {
        self.route.load().storage
    }

    /// May new work start? Checked again at every check-out, so that a suspension bites at once.
    #[must_use]
    pub fn state(&self) -> TenantState {
        self.route.load().state
    }

    /// Is this still the route in force?
    #[must_use]
    pub fn has_route(&self, route: &Arc<RouteRecord>) -> bool {
        Arc::ptr_eq(&self.route.load(), route)
    }

    /// What the tenant used, for the metrics.
    #[must_use]
    pub fn usage(&self) -> &Arc<TenantUsage> {
        &self.usage
    }

    /// Clients connected for the tenant right now; shared with the permits that count them.
    #[must_use]
    pub fn clients(&self) -> &Arc<AtomicU32> {
        &self.clients
    }

    /// What operators have asked for at this gateway.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What it may begin here of what its rate allows.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Fires when the tenant's clients must leave: it is no longer active, or the gateway drains.
    #[must_use]
    pub fn leave_token(&self) -> CancellationToken {
        CancellationToken::clone(&self.leave.load())
    }

    /// Puts a newer route in force and returns the one it replaces.
    pub fn replace_route(&self, record: RouteRecord) -> Arc<RouteRecord> {
        let was_active = self.state() == TenantState::Active;
        let is_active = record.state == TenantState::Active;
        self.usage.rename(record.slug.as_str());
        self.meter.limit(&record.limits);
        let old = self.route.swap(Arc::new(record));
        match (was_active, is_active) {
            (true, false) => self.leave.load().cancel(),
            (false, true) => self.leave.store(Arc::new(self.drain.child_token())),
            _ => {}
        }
        old
    }

    /// Sends the tenant's clients away: it is gone from the catalog.
    pub fn remove(&self) {
        self.leave.load().cancel();
    }

    /// Notes that somebody asked for the route.
    pub fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_used_ms.store(now, Ordering::Relaxed);
    }

    /// When the route was last asked for, in milliseconds of this tenant's own clock.
    #[must_use]
    pub fn last_used_ms(&self) -> u64 {
        self.last_used_ms.load(Ordering::Relaxed)
    }

    /// Nobody is connected for it, and nothing would be forgotten with it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.clients.load(Ordering::Acquire) == 0 && self.gate.is_untouched()
    }
}

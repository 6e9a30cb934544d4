//! The cache of routes: from a slug or an API key to a [`Tenant`].
//!
//! A hit asks nobody. A miss asks the catalog once, however many clients wait for the same name, and
//! an unknown name is remembered briefly so that a flood of wrong names does not reach the catalog.
//! Entries do not expire: [`super::follow`] replaces what changed. When the cache is full, one that is long
//! unused and has no client gives way ([`order`]).

mod answer;
mod clusters;
mod externals;
mod loading;
mod lookup;
mod order;

pub use answer::{Owner, Refreshed};

use super::Tenant;
use crate::admit::rate::Book;
use crate::error::Refusal;
use crate::metrics::Counter;
use crate::moments::Moments;
use catalog_schema::{Catalog, CatalogError, CredentialKind, RouteRecord};
use clusters::Clusters;
use config::RouteCacheConfig;
use dashmap::DashMap;
use externals::Externals;
use jiff::Timestamp;
use order::Order;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Instant;
use tenancy::{ErrorKind, Slug, TenantId};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

/// Catalog queries for unknown names that may run at once; the rest wait their turn.
const LOADS_AT_ONCE_MAX: usize = 8;

/// SHA-256 of an API key.
pub type KeyHash = [u8; 32];

/// The gateway's routes. Shared by all connections.
pub struct Routes {
    catalog: Catalog,
    settings: RouteCacheConfig,
    drain: CancellationToken,
    tenants: DashMap<TenantId, Arc<Tenant>>,
    order: Order,
    clusters: Clusters,
    /// When credentials of cached routes expire.
    expiries: Moments<TenantId>,
    slugs: DashMap<Slug, TenantId>,
    keys: DashMap<KeyHash, TenantId>,
    externals: Externals,
    missing_slugs: DashMap<Slug, Instant>,
    missing_keys: DashMap<KeyHash, Instant>,
    loading: DashMap<Slug, Arc<Mutex<()>>>,
    loading_ids: DashMap<TenantId, Arc<Mutex<()>>>,
    loads: Semaphore,
    /// The tenants whose rates are shared out.
    book: Arc<Book>,
    /// Counts batches of changes, so that a read that overlapped one is recognised as doubtful. Held while a
    /// route goes into the cache: a batch finds it there, or has begun before and it does not go in.
    changes_seen: StdMutex<u64>,
    /// Held from reading a cached route anew until it is in force, or an older one could replace a newer.
    refreshing: Mutex<()>,
    /// Lookups answered from the cache.
    pub hits: AtomicU64,
    /// Lookups that had to ask the catalog.
    pub misses: AtomicU64,
    /// Tenants forgotten to make room.
    pub evictions: Counter,
}

impl Routes {
    /// An empty cache over the catalog.
    #[must_use]
    pub fn new(catalog: Catalog, settings: RouteCacheConfig, drain: CancellationToken) -> Self {
        Self {
            catalog,
            settings,
            drain,
            tenants: DashMap::new(),
            order: Order::default(),
            clusters: Clusters::default(),
            expiries: Moments::default(),
            slugs: DashMap::new(),
            keys: DashMap::new(),
            externals: Externals::default(),
            missing_slugs: DashMap::new(),
            missing_keys: DashMap::new(),
            loading: DashMap::new(),
            loading_ids: DashMap::new(),
            loads: Semaphore::new(LOADS_AT_ONCE_MAX),
            book: Arc::default(),
            changes_seen: StdMutex::new(0),
            refreshing: Mutex::new(()),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: Counter::default(),
        }
    }

    /// The tenant, if it is cached.
    #[must_use]
    pub fn cached(&self, id: TenantId) -> Option<Arc<Tenant>> {
        let tenant = Arc::clone(self.tenants.get(&id)?.value());
        tenant.touch();
        Some(tenant)
    }

    /// Is this the tenant that changes reach? One that has made room for others, and was looked up before,
    /// never hears of them.
    #[must_use]
    pub fn knows(&self, tenant: &Arc<Tenant>) -> bool {
        self.tenants.get(&tenant.id()).is_some_and(|cached| Arc::ptr_eq(&cached, tenant))
    }

    /// The tenants with a rate that ask.
    #[must_use]
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Everything cached, for the metrics and for a full resync.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.tenants.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// How many tenants are cached.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Is nothing cached?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// A batch of changes is about to be applied: reads under way are doubtful, and what was unknown
    /// may exist by now.
    pub fn changes_begin(&self) {
        *self.changes_seen() += 1;
        self.missing_slugs.clear();
        self.missing_keys.clear();
        self.externals.changes_begin();
    }

    /// The tenants of which a credential has expired since this was asked last.
    pub fn expired(&self) -> HashSet<TenantId> {
        self.expiries.due(Timestamp::now())
    }

    /// Resolves when there are such. For one who waits.
    pub async fn next_expiry(&self) {
        self.expiries.wait().await;
    }

    /// Reads a cached tenant's route anew. Returns the tenant with its old route, `None` in place of the
    /// tenant's new state when it is gone.
    ///
    /// # Errors
    /// The catalog's, when it cannot be asked; the cached route stays in force.
    pub async fn refresh(&self, id: TenantId) -> Result<Option<Refreshed>, CatalogError> {
        let Some(tenant) = self.tenants.get(&id).map(|entry| Arc::clone(entry.value())) else {
            return Ok(None);
        };
        let _turn = self.refreshing.lock().await;
        match self.catalog.route_by_id(id).await? {
            Some(mut record) => {
                self.clusters.share(&mut record);
                let old = tenant.route();
                self.unindex(&old);
                self.index(&record);
                tenant.replace_route(record);
                Ok(Some(Refreshed { tenant, old, gone: false }))
            }
            None => {
                let old = tenant.route();
                self.forget(&tenant);
                tenant.remove();
                Ok(Some(Refreshed { tenant, old, gone: true }))
            }
        }
    }

    pub(in crate::resolve) fn insert(&self, mut record: RouteRecord) -> Arc<Tenant> {
        self.clusters.share(&mut record);
        self.index(&record);
        let entry = self.tenants.entry(record.tenant_id);
        if let dashmap::Entry::Occupied(cached) = &entry {
            return Arc::clone(cached.get());
        }
        let fresh = Arc::new(Tenant::written_in(record, self.drain.clone(), Arc::clone(&self.book)));
        entry.insert(Arc::clone(&fresh));
        self.order.came(&fresh, self.tenants.len(), |id| self.tenants.contains_key(&id));
        fresh
    }

    fn make_room(&self) {
        if self.tenants.len() < self.settings.capacity {
            return;
        }
        let find = |id| self.tenants.get(&id).map(|entry| Arc::clone(entry.value()));
        let Some(oldest) = self.order.first_idle(find) else { return };
        if self.tenants.remove_if(&oldest.id(), |_, cached| cached.is_idle()).is_some() {
            self.unindex(&oldest.route());
            self.evictions.inc();
        } else {
            // Somebody has been admitted by now: the cache is over its capacity by one.
            self.order.came(&oldest, self.tenants.len(), |id| self.tenants.contains_key(&id));
        }
    }

    fn index(&self, record: &RouteRecord) {
        self.expiries.came(expiries_of(record));
        for slug in names_of(record) {
            self.slugs.insert(slug.clone(), record.tenant_id);
        }
        for hash in key_hashes_of(record) {
            self.keys.insert(*hash, record.tenant_id);
        }
        self.externals.index(record);
    }

    fn unindex(&self, record: &RouteRecord) {
        self.expiries.went(expiries_of(record));
        for slug in names_of(record) {
            self.slugs.remove_if(slug, |_, id| *id == record.tenant_id);
        }
        for hash in key_hashes_of(record) {
            self.keys.remove(hash);
        }
        self.externals.unindex(record);
    }

    fn changes_seen(&self) -> MutexGuard<'_, u64> {
        self.changes_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, tenant: &Tenant) {
        self.unindex(&tenant.route());
        self.tenants.remove(&tenant.id());
    }
}

/// What the tenant goes by.
pub(super) fn names_of(record: &RouteRecord) -> impl Iterator<Item = &Slug> {
    std::iter::once(&record.slug).chain(&record.aliases)
}

fn expiries_of(record: &RouteRecord) -> impl Iterator<Item = (Timestamp, TenantId)> {
    let expiries = record.credentials.iter().filter_map(|credential| credential.expires_at);
    expiries.map(|at| (at, record.tenant_id))
}

fn key_hashes_of(record: &RouteRecord) -> impl Iterator<Item = &KeyHash> {
    record.credentials.iter().filter_map(|credential| match &credential.kind {
        CredentialKind::ApiKey { hash, .. } => Some(hash),
        CredentialKind::Password { .. } => None,
    })
}

/// The catalog could not be asked.
pub(crate) fn unavailable(error: &CatalogError) -> Refusal {
    tracing::warn!(%error, "the catalog could not be asked for a route");
    Refusal::new(ErrorKind::CatalogUnavailable, "the tenant catalog cannot be reached")
        .hint("tenants that this gateway already knows are served; try again in a moment")
}

#[cfg(test)]
pub(in crate::resolve) mod tests;

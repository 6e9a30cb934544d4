//! The cache of routes: from a slug or an API key to a [`Tenant`].
//!
//! A hit asks nobody. A miss asks the catalog once, however many clients wait for the same name, and
//! an unknown name is remembered briefly so that a flood of wrong names does not reach the catalog.
//! Entries do not expire: [`super::follow`] replaces what changed. When the cache is full, the entry
//! longest unused that has no client gives way.

use super::Tenant;
use crate::error::Refusal;
use catalog_schema::{Catalog, CatalogError, CredentialKind, RouteRecord};
use config::RouteCacheConfig;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tenancy::{ErrorKind, Slug, TenantId};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

/// Catalog queries for unknown names that may run at once; the rest wait their turn.
const LOADS_AT_ONCE_MAX: usize = 8;

/// Unknown names remembered at once. Beyond it the memory is cleared: it only saves queries.
const MISSES_MAX: usize = 10_000;

/// A change may commit while its route is being read; the read is then repeated, this often at most.
const RELOADS_MAX: usize = 5;

/// SHA-256 of an API key.
pub type KeyHash = [u8; 32];

/// The gateway's routes. Shared by all connections.
pub struct Routes {
    catalog: Catalog,
    settings: RouteCacheConfig,
    drain: CancellationToken,
    tenants: DashMap<TenantId, Arc<Tenant>>,
    slugs: DashMap<Slug, TenantId>,
    keys: DashMap<KeyHash, TenantId>,
    missing_slugs: DashMap<Slug, Instant>,
    missing_keys: DashMap<KeyHash, Instant>,
    loading: DashMap<Slug, Arc<Mutex<()>>>,
    loads: Semaphore,
    /// Counts batches of changes, so that a read that overlapped one is recognised as doubtful.
    changes_seen: AtomicU64,
    /// Lookups answered from the cache.
    pub hits: AtomicU64,
    /// Lookups that had to ask the catalog.
    pub misses: AtomicU64,
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
            slugs: DashMap::new(),
            keys: DashMap::new(),
            missing_slugs: DashMap::new(),
            missing_keys: DashMap::new(),
            loading: DashMap::new(),
            loads: Semaphore::new(LOADS_AT_ONCE_MAX),
            changes_seen: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The tenant of that name, or `None` when the catalog knows none.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] when the name is not cached and the catalog cannot be asked.
    pub async fn by_slug(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Refusal> {
        if let Some(tenant) = self.cached_by_slug(slug) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(tenant));
        }
        if is_missing(&self.missing_slugs, slug, self.settings.negative_ttl()) {
            return Ok(None);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let gate = Arc::clone(&self.loading.entry(slug.clone()).or_default());
        let found = {
            let _single_flight = gate.lock().await;
            match self.cached_by_slug(slug) {
                Some(tenant) => Ok(Some(tenant)),
                None => self.load(|| self.catalog.route_by_slug(slug)).await,
            }
        };
        self.loading.remove_if(slug, |_, gate| Arc::strong_count(gate) <= 2);
        if matches!(found, Ok(None)) {
            remember_missing(&self.missing_slugs, slug.clone());
        }
        found
    }

    /// The tenant that owns the API key with this hash.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] when the key is not cached and the catalog cannot be asked.
    pub async fn by_key(&self, hash: &KeyHash) -> Result<Option<Arc<Tenant>>, Refusal> {
        if let Some(tenant) = self.keys.get(hash).and_then(|id| self.cached(*id)) {
            return Ok(Some(tenant));
        }
        if is_missing(&self.missing_keys, hash, self.settings.negative_ttl()) {
            return Ok(None);
        }
        let owner = {
            let _turn = self.loads.acquire().await;
            self.catalog.tenant_of_api_key(hash).await.map_err(|error| unavailable(&error))?
        };
        let Some(id) = owner else {
            remember_missing(&self.missing_keys, *hash);
            return Ok(None);
        };
        match self.cached(id) {
            Some(tenant) => Ok(Some(tenant)),
            None => self.load(|| self.catalog.route_by_id(id)).await,
        }
    }

    /// The tenant, if it is cached.
    #[must_use]
    pub fn cached(&self, id: TenantId) -> Option<Arc<Tenant>> {
        let tenant = Arc::clone(self.tenants.get(&id)?.value());
        tenant.touch();
        Some(tenant)
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
        self.changes_seen.fetch_add(1, Ordering::AcqRel);
        self.missing_slugs.clear();
        self.missing_keys.clear();
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
        match self.catalog.route_by_id(id).await? {
            Some(record) => {
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

    fn cached_by_slug(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        let id = *self.slugs.get(slug)?;
        self.cached(id)
    }

    /// Reads a route and caches it; reads again while changes arrive in between.
    async fn load<F, Fut>(&self, read: F) -> Result<Option<Arc<Tenant>>, Refusal>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<RouteRecord>, CatalogError>>,
    {
        let _turn = self.loads.acquire().await;
        for _ in 0..RELOADS_MAX {
            let seen = self.changes_seen.load(Ordering::Acquire);
            let Some(record) = read().await.map_err(|error| unavailable(&error))? else {
                if self.changes_seen.load(Ordering::Acquire) == seen {
                    return Ok(None);
                }
                continue;
            };
            let tenant = self.insert(record);
            if self.changes_seen.load(Ordering::Acquire) == seen {
                return Ok(Some(tenant));
            }
            self.forget(&tenant);
        }
        Err(Refusal::new(ErrorKind::CatalogUnavailable, "the tenant's route is changing too fast to be read")
            .hint("try again in a moment"))
    }

    fn insert(&self, record: RouteRecord) -> Arc<Tenant> {
        self.make_room();
        self.index(&record);
        let id = record.tenant_id;
        let fresh = || Arc::new(Tenant::new(record, self.drain.clone()));
        Arc::clone(self.tenants.entry(id).or_insert_with(fresh).value())
    }

    fn make_room(&self) {
        if self.tenants.len() < self.settings.capacity {
            return;
        }
        let oldest = self
            .tenants
            .iter()
            .filter(|entry| entry.is_idle())
            .min_by_key(|entry| entry.last_used())
            .map(|entry| Arc::clone(entry.value()));
        if let Some(tenant) = oldest {
            self.forget(&tenant);
        }
    }

    fn index(&self, record: &RouteRecord) {
        for slug in names_of(record) {
            self.slugs.insert(slug.clone(), record.tenant_id);
        }
        for hash in key_hashes_of(record) {
            self.keys.insert(*hash, record.tenant_id);
        }
    }

    fn unindex(&self, record: &RouteRecord) {
        for slug in names_of(record) {
            self.slugs.remove_if(slug, |_, id| *id == record.tenant_id);
        }
        for hash in key_hashes_of(record) {
            self.keys.remove(hash);
        }
    }

    fn forget(&self, tenant: &Tenant) {
        self.unindex(&tenant.route());
        self.tenants.remove(&tenant.id());
    }
}

/// A route that was read anew because the catalog said it changed.
pub struct Refreshed {
    /// The tenant, its new route in force.
    pub tenant: Arc<Tenant>,
    /// The route before.
    pub old: Arc<RouteRecord>,
    /// The catalog knows the tenant no more.
    pub gone: bool,
}

fn names_of(record: &RouteRecord) -> impl Iterator<Item = &Slug> {
    std::iter::once(&record.slug).chain(&record.aliases)
}

fn key_hashes_of(record: &RouteRecord) -> impl Iterator<Item = &KeyHash> {
    record.credentials.iter().filter_map(|credential| match &credential.kind {
        CredentialKind::ApiKey { hash, .. } => Some(hash),
        CredentialKind::Password { .. } => None,
    })
}

fn is_missing<K: std::hash::Hash + Eq>(missing: &DashMap<K, Instant>, key: &K, ttl: Duration) -> bool {
    missing.get(key).is_some_and(|since| since.elapsed() < ttl)
}

fn remember_missing<K: std::hash::Hash + Eq>(missing: &DashMap<K, Instant>, key: K) {
    if missing.len() >= MISSES_MAX {
        missing.clear();
    }
    missing.insert(key, Instant::now());
}

fn unavailable(error: &CatalogError) -> Refusal {
    tracing::warn!(%error, "the catalog could not be asked for a route");
    Refusal::new(ErrorKind::CatalogUnavailable, "the tenant catalog cannot be reached")
        .hint("tenants that this gateway already knows are served; try again in a moment")
}

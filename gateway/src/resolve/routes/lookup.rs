//! Looking a tenant up by one of its names or keys: in the cache, or else in the catalog.

use super::loading::Loading;
use super::{KeyHash, Owner, Routes, key_hashes_of, names_of, unavailable};
use crate::error::Refusal;
use crate::resolve::Tenant;
use catalog_schema::{CatalogError, RouteRecord};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tenancy::{ErrorKind, Slug, TenantId};

/// Unknown names remembered at once. Beyond it the memory is cleared: it only saves queries.
const MISSES_MAX: usize = 10_000;

/// A change may commit while its route is being read; the read is then repeated, this often at most.
const RELOADS_MAX: usize = 5;

impl Routes {
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
        let loading = Loading::begin(&self.loading, slug);
        let seen = *self.changes_seen();
        let found = {
            let _single_flight = loading.gate.lock().await;
            match self.cached_by_slug(slug) {
                Some(tenant) => Ok(Some(tenant)),
                None => self.load(|| self.catalog.route_by_slug(slug)).await,
            }
        };
        if matches!(found, Ok(None)) {
            self.if_unchanged(seen, || remember_missing(&self.missing_slugs, slug.clone()));
        }
        found
    }

    /// The tenant with this id, or `None` when the catalog knows none. For ids that a credential or the catalog itself has
    /// named: an unknown one is not remembered.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] when the tenant is not cached and the catalog cannot be asked.
    pub async fn by_id(&self, id: TenantId) -> Result<Option<Arc<Tenant>>, Refusal> {
        if let Some(tenant) = self.cached(id) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(tenant));
        }
        self.fetch(id).await
    }

    /// Reads the route of a tenant that is not cached, once for all who ask at the same time.
    async fn fetch(&self, id: TenantId) -> Result<Option<Arc<Tenant>>, Refusal> {
        let loading = Loading::begin(&self.loading_ids, &id);
        let _single_flight = loading.gate.lock().await;
        if let Some(tenant) = self.cached(id) {
            return Ok(Some(tenant));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.load(|| self.catalog.route_by_id(id)).await
    }

    /// The tenant that owns the API key with this hash.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] when the key is not cached and the catalog cannot be asked.
    pub async fn by_key(&self, hash: &KeyHash) -> Result<Option<Owner>, Refusal> {
        if let Some(tenant) = self.keys.get(hash).and_then(|id| self.cached(*id)) {
            return Ok(Some(Owner { tenant, route_is_behind: false }));
        }
        if is_missing(&self.missing_keys, hash, self.settings.negative_ttl()) {
            return Ok(None);
        }
        let seen = *self.changes_seen();
        let owner = {
            let _turn = self.loads.acquire().await;
            self.catalog.tenant_of_api_key(hash).await.map_err(|error| unavailable(&error))?
        };
        let Some(id) = owner else {
            self.if_unchanged(seen, || remember_missing(&self.missing_keys, *hash));
            return Ok(None);
        };
        match self.cached(id) {
            Some(tenant) => {
                let route_is_behind = !key_hashes_of(&tenant.route()).any(|known| known == hash);
                if !route_is_behind {
                    self.keys.insert(*hash, id);
                }
                Ok(Some(Owner { tenant, route_is_behind }))
            }
            None => {
                let found = self.fetch(id).await?;
                Ok(found.map(|tenant| Owner { tenant, route_is_behind: false }))
            }
        }
    }

    pub(super) fn cached_by_slug(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        let id = *self.slugs.get(slug)?;
        self.cached(id).filter(|tenant| names_of(&tenant.route()).any(|name| name == slug))
    }

    /// Remembers what a read has not found, if nothing has changed since before it: what it did not see may be there.
    pub(super) fn if_unchanged(&self, seen: u64, remember: impl FnOnce()) {
        let now = self.changes_seen();
        if *now == seen {
            remember();
        }
    }

    /// Reads a route and caches it; reads again while changes arrive in between.
    pub(super) async fn load<F, Fut>(&self, read: F) -> Result<Option<Arc<Tenant>>, Refusal>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<RouteRecord>, CatalogError>>,
    {
        let _turn = self.loads.acquire().await;
        for _ in 0..RELOADS_MAX {
            let seen = *self.changes_seen();
            let record = read().await.map_err(|error| unavailable(&error))?;
            if record.is_some() {
                self.make_room();
            }
            let now = self.changes_seen();
            if *now == seen {
                return Ok(record.map(|record| self.insert(record)));
            }
        }
        Err(Refusal::new(ErrorKind::CatalogUnavailable, "the tenant's route is changing too fast to be read")
            .hint("try again in a moment"))
    }
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

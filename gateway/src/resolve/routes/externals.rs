//! Identity providers' own names for tenants.

use super::{Routes, unavailable};
use crate::error::Refusal;
use crate::resolve::Tenant;
use catalog_schema::{ExternalId, RouteRecord};
use dashmap::DashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::TenantId;

/// Unknown names remembered at once. Beyond it the memory is cleared: it only saves queries.
const MISSES_MAX: usize = 10_000;

/// The names of cached tenants, and names that are nobody's.
#[derive(Default)]
pub(super) struct Externals {
    known: DashMap<ExternalId, TenantId>,
    missing: DashMap<ExternalId, Instant>,
}

impl Externals {
    pub(super) fn index(&self, record: &RouteRecord) {
        for id in &record.external_ids {
            self.known.insert(id.clone(), record.tenant_id);
        }
    }

    pub(super) fn unindex(&self, record: &RouteRecord) {
        for id in &record.external_ids {
            self.known.remove_if(id, |_, tenant| *tenant == record.tenant_id);
        }
    }

    /// What was nobody's may be somebody's by now.
    pub(super) fn changes_begin(&self) {
        self.missing.clear();
    }

    fn is_missing(&self, id: &ExternalId, ttl: Duration) -> bool {
        self.missing.get(id).is_some_and(|since| since.elapsed() < ttl)
    }

    fn remember_missing(&self, id: &ExternalId) {
        if self.missing.len() >= MISSES_MAX {
            self.missing.clear();
        }
        self.missing.insert(id.clone(), Instant::now());
    }
}

impl Routes {
    /// The tenant that an issuer calls so, or `None` when it is nobody's name. Only for whoever has shown a good token
    /// that says it.
    ///
    /// # Errors
    /// [`tenancy::ErrorKind::CatalogUnavailable`] when the name is not cached and the catalog cannot be asked.
    pub async fn by_external(&self, id: &ExternalId) -> Result<Option<Arc<Tenant>>, Refusal> {
        let cached = self.externals.known.get(id).map(|tenant| *tenant);
        if let Some(tenant) = cached.and_then(|tenant| self.cached(tenant))
            && tenant.route().external_ids.contains(id)
        {
            return Ok(Some(tenant));
        }
        if self.externals.is_missing(id, self.settings.negative_ttl()) {
            return Ok(None);
        }
        let seen = *self.changes_seen();
        let found = {
            let _turn = self.loads.acquire().await;
            let found = self.catalog.tenant_of_external(id.issuer, &id.external).await;
            found.map_err(|error| unavailable(&error))?
        };
        match found {
            // The cached route may be behind, and then the catalog has just said it.
            Some(tenant) => self.by_id(tenant).await,
            None => {
                self.if_unchanged(seen, || self.externals.remember_missing(id));
                Ok(None)
            }
        }
    }
}

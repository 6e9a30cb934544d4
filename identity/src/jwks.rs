//! Issuers' public keys, fetched when they are needed and kept for as long as they are good.
//!
//! ```text
//! keys ─┬─ young enough, and the key is there ──► at once
//!       ├─ not that young ──────────────────────► at once, and fetched anew behind the client's back
//!       └─ none, too old, or the key is new ────► fetched first, once for all who wait, and not too often
//! ```
//!
//! Each issuer has a source of its own: one that is slow or down keeps nobody waiting but those with its tokens. While
//! it is down its old keys stay good, up to a bound.

mod allowances;
mod fetch;
mod reach;
mod source;

pub use fetch::FetchError;
pub use source::JwksError;

use crate::error::TokenError;
use crate::keys::KeySet;
use crate::token::Token;
use allowances::Allowances;
use config::IdentityConfig;
use fetch::Fetcher;
use rustls::RootCertStore;
use source::Source;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenancy::{Issuer, IssuerId};
use tokio::runtime::Handle;

/// Issuers of one tenant whose keys are kept. A tenant has no more (`catalog_schema::TENANT_ISSUERS_MAX`): others are gone.
const TENANT_SOURCES_MAX: usize = 8;

/// What came of fetching, counted.
#[derive(Debug, Default)]
pub struct JwksCounts {
    /// Fetches that brought keys.
    pub succeeded: AtomicU64,
    /// Fetches that did not.
    pub failed: AtomicU64,
    /// Times that keys were not asked for, because that was done a moment ago, or the issuer's tenant had too much asked.
    pub held_back: AtomicU64,
    /// Times that keys were used although they should have been fetched anew.
    pub stale_used: AtomicU64,
}

/// The keys of all issuers. One for the process.
pub struct Jwks {
    settings: IdentityConfig,
    fetcher: Arc<Fetcher>,
    runtime: Handle,
    sources: Mutex<Sources>,
    counts: Arc<JwksCounts>,
    allowances: Arc<Allowances>,
}

#[derive(Default)]
struct Sources {
    by_issuer: HashMap<IssuerId, (Arc<Source>, u64)>,
    uses: u64,
}

impl Jwks {
    /// No keys yet. Fetches run on the runtime that this is called on, wherever the keys are asked for. `roots` are
    /// the authorities that the system trusts.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(settings: IdentityConfig, roots: RootCertStore) -> Self {
        Self {
            fetcher: Arc::new(Fetcher::new(&settings, roots)),
            settings,
            runtime: Handle::current(),
            sources: Mutex::default(),
            counts: Arc::default(),
            allowances: Arc::default(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &IdentityConfig {
        &self.settings
    }

    /// Has `check` hold a token against its issuer's keys; against newer ones, if the token could be signed with one of
    /// those.
    ///
    /// # Errors
    /// What `check` says, or that there are no keys and none can be had now.
    pub async fn check<T>(
        &self,
        token: &Token<'_>,
        issuer: &Arc<Issuer>,
        check: impl Fn(&KeySet) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let keys = self.keys(issuer, token.key_id()).await.map_err(|_logged| TokenError::KeysUnavailable)?;
        match check(&keys) {
            // It names no key, so that only this tells that its key may be a new one. They are fetched no oftener than
            // for the name of a key that is not known.
            Err(TokenError::Signature) if token.key_id().is_none() => {
                let newest = self.source(issuer).newest().await.map_err(|_logged| TokenError::Signature)?;
                check(&newest)
            }
            checked => checked,
        }
    }

    /// The issuer's keys; newer ones, if that is where the key of this id could be.
    async fn keys(&self, issuer: &Arc<Issuer>, key_id: Option<&str>) -> Result<Arc<KeySet>, JwksError> {
        self.source(issuer).keys(key_id).await
    }

    /// Fetches the issuer's keys now, whatever is kept. For whoever tries an issuer out.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn fetch(&self, issuer: &Issuer) -> Result<KeySet, FetchError> {
        self.fetcher.fetch(issuer).await
    }

    /// Could keys be fetched from there, as far as the address's text tells?
    ///
    /// # Errors
    /// Why not.
    pub fn check_address(&self, address: &str, is_tenants: bool) -> Result<(), FetchError> {
        self.fetcher.check_address(address, is_tenants)
    }

    /// Where an issuer of this name says that its keys are. `is_tenants`: a tenant named it, not an operator.
    ///
    /// # Errors
    /// Why it cannot be found out.
    pub async fn discover(
        &self,
        iss: &str,
        ca: Option<&str>,
        is_tenants: bool,
    ) -> Result<String, FetchError> {
        self.fetcher.discover(iss, ca, is_tenants).await
    }

    /// What came of fetching.
    #[must_use]
    pub fn counts(&self) -> &JwksCounts {
        &self.counts
    }

    /// How many issuers' keys are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources().by_issuer.len()
    }

    /// Are none kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn source(&self, issuer: &Arc<Issuer>) -> Arc<Source> {
        let mut sources = self.sources();
        sources.uses += 1;
        let now = sources.uses;
        if let Some((source, used)) = sources.by_issuer.get_mut(&issuer.id)
            && source.is_of(issuer)
        {
            *used = now;
            return Arc::clone(source);
        }
        // What was fetched for an issuer as it was set up before is not what it says now.
        sources.by_issuer.remove(&issuer.id);
        sources.make_room(issuer, self.settings.issuers_max);
        let source = Arc::new(Source::new(
            Arc::clone(issuer),
            Arc::clone(&self.fetcher),
            self.runtime.clone(),
            &self.settings,
            Arc::clone(&self.counts),
            Arc::clone(&self.allowances),
        ));
        sources.by_issuer.insert(issuer.id, (Arc::clone(&source), now));
        source
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    /// For one more issuer the one gives way that was not used for the longest: of the same tenant, when that has as many as
    /// a tenant may, so that a tenant which removes its issuers and makes others does not take the place of anybody else's.
    fn make_room(&mut self, newcomer: &Issuer, max: usize) {
        let is_alike = |source: &Source| newcomer.tenant.is_some() && source.tenant() == newcomer.tenant;
        let alike = self.by_issuer.values().filter(|(source, _)| is_alike(source)).count();
        let only_alike = alike >= TENANT_SOURCES_MAX;
        if !only_alike && self.by_issuer.len() < max {
            return;
        }
        let candidates = self.by_issuer.iter().filter(|(_, (source, _))| !only_alike || is_alike(source));
        let oldest = candidates.min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
        oldest.and_then(|id| self.by_issuer.remove(&id));
    }
}

impl JwksCounts {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

//! One issuer's keys.

use super::JwksCounts;
use super::fetch::{FetchError, Fetcher};
use crate::keys::KeySet;
use arc_swap::ArcSwapOption;
use config::IdentityConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tenancy::Issuer;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

/// Why an issuer's keys cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// They could not be fetched, just now or a moment ago.
    #[error("the issuer's keys cannot be fetched: {0}")]
    Fetch(#[from] FetchError),
    /// This process is about to end.
    #[error("the process is shutting down")]
    Stopping,
}

pub(super) struct Source(Arc<Inner>);

struct Inner {
    issuer: Arc<Issuer>,
    fetcher: Arc<Fetcher>,
    runtime: Handle,
    counts: Arc<JwksCounts>,
    refresh_after: Duration,
    retry_after: Duration,
    stale_max: Duration,
    kept: ArcSwapOption<Kept>,
    /// Held while fetching; what came of the last time.
    last: Mutex<Option<Attempt>>,
    /// Somebody fetches behind a client's back.
    refreshing: AtomicBool,
}

struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
}

struct Attempt {
    ended: Instant,
    error: Option<FetchError>,
}

impl Source {
    pub(super) fn new(
        issuer: Arc<Issuer>,
        fetcher: Arc<Fetcher>,
        runtime: Handle,
        settings: &IdentityConfig,
        counts: Arc<JwksCounts>,
    ) -> Self {
        Self(Arc::new(Inner {
            issuer,
            fetcher,
            runtime,
            counts,
            refresh_after: settings.jwks_refresh_interval(),
            retry_after: settings.jwks_retry_interval(),
            stale_max: settings.jwks_stale_max(),
            kept: ArcSwapOption::empty(),
            last: Mutex::new(None),
            refreshing: AtomicBool::new(false),
        }))
    }

    /// Is this where the issuer's keys are, as it is set up now?
    pub(super) fn is_of(&self, issuer: &Issuer) -> bool {
        let mine = &self.0.issuer;
        mine.jwks_url == issuer.jwks_url && mine.jwks_ca == issuer.jwks_ca && mine.tenant == issuer.tenant
    }

    pub(super) async fn keys(&self, key_id: Option<&str>) -> Result<Arc<KeySet>, JwksError> {
        let inner = &self.0;
        let asked = Instant::now();
        if let Some(kept) = inner.usable()
            && kept.keys.has(key_id)
        {
            if kept.since.elapsed() >= inner.refresh_after {
                JwksCounts::count(&inner.counts.stale_used);
                inner.refresh_behind();
            }
            return Ok(Arc::clone(&kept.keys));
        }
        self.fetched_since(asked).await
    }

    /// Keys that were fetched now or a moment ago, or else those that are kept.
    pub(super) async fn newest(&self) -> Result<Arc<KeySet>, JwksError> {
        self.fetched_since(Instant::now()).await
    }

    async fn fetched_since(&self, asked: Instant) -> Result<Arc<KeySet>, JwksError> {
        let inner = &self.0;
        // On the runtime that stays: the one that asks may be a connection's, and go with it.
        let fetching = {
            let inner = Arc::clone(inner);
            inner.runtime.clone().spawn(async move { inner.fetch_once(asked).await })
        };
        let fetched = fetching.await.map_err(|_ended| JwksError::Stopping)?;
        match (inner.usable(), fetched) {
            (Some(kept), _) => Ok(Arc::clone(&kept.keys)),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(JwksError::Stopping),
        }
    }
}

impl Inner {
    /// What is kept, if it is not too old by far.
    fn usable(&self) -> Option<Arc<Kept>> {
        self.kept.load_full().filter(|kept| kept.since.elapsed() <= self.stale_max)
    }

    fn refresh_behind(self: &Arc<Self>) {
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        self.runtime.spawn(async move {
            // What went wrong is logged and counted; the old keys serve.
            let _ = inner.fetch_once(Instant::now()).await;
            inner.refreshing.store(false, Ordering::Release);
        });
    }

    /// Fetches, unless somebody else has done so since `asked`, or a moment before.
    async fn fetch_once(&self, asked: Instant) -> Result<(), FetchError> {
        let mut last = self.last.lock().await;
        if let Some(attempt) = &*last {
            let is_newer = attempt.ended >= asked;
            if is_newer || attempt.ended.elapsed() < self.retry_after {
                if !is_newer {
                    JwksCounts::count(&self.counts.held_back);
                }
                return attempt.error.clone().map_or(Ok(()), Err);
            }
        }
        let fetched = self.fetcher.fetch(&self.issuer).await;
        let error = fetched.as_ref().err().cloned();
        match fetched {
            Ok(keys) => {
                JwksCounts::count(&self.counts.succeeded);
                self.kept.store(Some(Arc::new(Kept { keys: Arc::new(keys), since: Instant::now() })));
            }
            Err(error) => {
                JwksCounts::count(&self.counts.failed);
                tracing::warn!(issuer.id = %self.issuer.id, %error, "an issuer's keys could not be fetched");
            }
        }
        *last = Some(Attempt { ended: Instant::now(), error: error.clone() });
        error.map_or(Ok(()), Err)
    }
}

//! One issuer's keys.

use super::JwksCounts;
use super::allowances::Allowances;
use super::fetch::{FetchError, Fetcher};
use crate::keys::KeySet;
use arc_swap::ArcSwapOption;
use config::IdentityConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tenancy::{Issuer, TenantId};
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
    allowances: Arc<Allowances>,
    refresh_after: Duration,
    retry_after: Duration,
    stale_max: Duration,
    kept: ArcSwapOption<Kept>,
    /// Held while fetching.
    attempts: Mutex<Attempts>,
    /// Somebody fetches behind a client's back.
    refreshing: AtomicBool,
}

struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
}

/// The last two times that keys were asked for. Two, because a key may be new while the fetch for something else is
/// under way, or has just ended: its token must not be refused for that.
#[derive(Default)]
pub(super) struct Attempts {
    last: Option<Attempt>,
    before: Option<Instant>,
}

pub(super) struct Attempt {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) error: Option<FetchError>,
}

impl Attempts {
    /// What came of the last, if it began after `asked`: what was read then is not older than the question. What a
    /// fetch brings that was already under way may have been read before the key was there.
    pub(super) fn newer_than(&self, asked: Instant) -> Option<&Attempt> {
        self.last.as_ref().filter(|attempt| attempt.began >= asked)
    }

    /// What came of the last, if within this time it failed, or there were two.
    pub(super) fn too_many(&self, retry_after: Duration) -> Option<&Attempt> {
        let last = self.last.as_ref()?;
        let counted = if last.error.is_some() { Some(last.ended) } else { self.before };
        counted.is_some_and(|ended| ended.elapsed() < retry_after).then_some(last)
    }

    pub(super) fn add(&mut self, attempt: Attempt) {
        self.before = self.last.replace(attempt).map(|last| last.ended);
    }
}

impl Attempt {
    fn outcome(&self) -> Result<(), FetchError> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

impl Source {
    pub(super) fn new(
        issuer: Arc<Issuer>,
        fetcher: Arc<Fetcher>,
        runtime: Handle,
        settings: &IdentityConfig,
        counts: Arc<JwksCounts>,
        allowances: Arc<Allowances>,
    ) -> Self {
        Self(Arc::new(Inner {
            issuer,
            fetcher,
            runtime,
            counts,
            allowances,
            refresh_after: settings.jwks_refresh_interval(),
            retry_after: settings.jwks_retry_interval(),
            stale_max: settings.jwks_stale_max(),
            kept: ArcSwapOption::empty(),
            attempts: Mutex::default(),
            refreshing: AtomicBool::new(false),
        }))
    }

    /// Is this where the issuer's keys are, as it is set up now?
    pub(super) fn is_of(&self, issuer: &Issuer) -> bool {
        let mine = &self.0.issuer;
        mine.jwks_url == issuer.jwks_url && mine.jwks_ca == issuer.jwks_ca && mine.tenant == issuer.tenant
    }

    /// Whose own issuer it is; the installation's, if nobody's.
    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.0.issuer.tenant
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

    /// Fetches, unless somebody else has begun to since `asked`, or it failed or was done twice just before.
    async fn fetch_once(&self, asked: Instant) -> Result<(), FetchError> {
        let mut attempts = self.attempts.lock().await;
        if let Some(attempt) = attempts.newer_than(asked) {
            return attempt.outcome();
        }
        if let Some(attempt) = attempts.too_many(self.retry_after) {
            JwksCounts::count(&self.counts.held_back);
            return attempt.outcome();
        }
        let began = Instant::now();
        if self.issuer.tenant.is_some_and(|tenant| !self.allowances.take(tenant, began)) {
            JwksCounts::count(&self.counts.held_back);
            return Err(FetchError::TooOften);
        }
        let error = self.fetch().await.err();
        let attempt = Attempt { began, ended: Instant::now(), error };
        let outcome = attempt.outcome();
        attempts.add(attempt);
        outcome
    }

    async fn fetch(&self) -> Result<(), FetchError> {
        match self.fetcher.fetch(&self.issuer).await {
            Ok(keys) => {
                JwksCounts::count(&self.counts.succeeded);
                self.kept.store(Some(Arc::new(Kept { keys: Arc::new(keys), since: Instant::now() })));
                Ok(())
            }
            Err(error) => {
                JwksCounts::count(&self.counts.failed);
                tracing::warn!(issuer.id = %self.issuer.id, %error, "an issuer's keys could not be fetched");
                Err(error)
            }
        }
    }
}

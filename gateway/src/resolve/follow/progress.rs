//! Where the gateway stands with respect to the catalog, for others to read.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenancy::Revision;

/// Where the gateway stands with respect to the catalog. Read by the metrics and by `/readyz`.
#[derive(Default)]
pub struct Progress {
    pub(super) applied: AtomicI64,
    pub(super) started: AtomicBool,
    pub(super) connected: AtomicBool,
    shares_renewed: Mutex<Option<Instant>>,
    shares_lost: AtomicU64,
}

impl Progress {
    /// The last revision whose changes are all in force here.
    #[must_use]
    pub fn applied(&self) -> Revision {
        Revision::new(self.applied.load(Ordering::Acquire))
    }

    /// The catalog was reached at least once since the process started.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The catalog can be reached as far as we know.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// How old what was last told of shares is; none before the first answer.
    #[must_use]
    pub fn shares_age(&self) -> Option<Duration> {
        self.shares_renewed.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// Times that shares could not be renewed in time.
    #[must_use]
    pub fn share_fallbacks(&self) -> u64 {
        self.shares_lost.load(Ordering::Relaxed)
    }

    pub(super) fn shares_renewed(&self, at: Instant) {
        *self.shares_renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    pub(super) fn shares_lost(&self) {
        self.shares_lost.fetch_add(1, Ordering::Relaxed);
    }
}

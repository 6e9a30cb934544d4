//! The tenants with a limit that ask for something, for whoever shares rates out.

use super::Meter;
use crate::metrics::Counter;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Each tenant is in it once at most.
#[derive(Debug)]
pub struct Book {
    newcomers: Mutex<Vec<Arc<Meter>>>,
    came: Notify,
    /// Gateways that live, this one among them.
    gateways: AtomicU32,
    /// Requests that wait for their tenant's rate.
    pub waiting: AtomicU32,
    /// Requests that had to.
    pub delayed: Counter,
    /// Tenants with a share of their own.
    pub leased: AtomicU32,
    /// Tenants that ask and have an even part for want of a lease.
    pub unleased: AtomicU32,
    /// Times that shares were lost, because they could not be renewed in time.
    pub lapsed: Counter,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            newcomers: Mutex::default(),
            came: Notify::new(),
            gateways: AtomicU32::new(1),
            waiting: AtomicU32::new(0),
            delayed: Counter::default(),
            leased: AtomicU32::new(0),
            unleased: AtomicU32::new(0),
            lapsed: Counter::default(),
        }
    }
}

impl Book {
    /// How many gateways live.
    #[must_use]
    pub fn gateways(&self) -> u32 {
        self.gateways.load(Ordering::Relaxed)
    }

    /// So many live. Buckets are to be told.
    pub fn alive(&self, gateways: usize) {
        self.gateways.store(u32::try_from(gateways).unwrap_or(u32::MAX).max(1), Ordering::Relaxed);
    }

    /// A tenant begins to ask.
    pub(super) fn enter(&self, meter: Arc<Meter>) {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner).push(meter);
        self.came.notify_one();
    }

    /// Those that began since this was last asked.
    #[must_use]
    pub fn newcomers(&self) -> Vec<Arc<Meter>> {
        std::mem::take(&mut *self.newcomers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when there are some.
    pub async fn any_came(&self) {
        self.came.notified().await;
    }
}

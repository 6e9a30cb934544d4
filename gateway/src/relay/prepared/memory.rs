//! What statements cost this process, and what was counted of them.

use crate::metrics::Counter;
use config::PreparedConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The statements of all pools together.
#[derive(Debug, Default)]
pub struct PreparedMemory {
    settings: PreparedConfig,
    statements: AtomicUsize,
    bytes: AtomicUsize,
    /// Uses of a statement that the leased connection had.
    pub hits: Counter,
    /// Uses for which it had to be prepared.
    pub misses: Counter,
    /// Statements that a pool has forgotten to make room.
    pub forgotten: Counter,
    /// Statements that a server connection has closed to make room.
    pub closed: Counter,
    /// Requests repeated because a statement on the server had grown out of date.
    pub healed: Counter,
}

impl PreparedMemory {
    /// Nothing kept yet.
    #[must_use]
    pub fn new(settings: PreparedConfig) -> Arc<Self> {
        Arc::new(Self { settings, ..Self::default() })
    }

    /// The bounds.
    #[must_use]
    pub fn settings(&self) -> &PreparedConfig {
        &self.settings
    }

    /// Distinct statements known.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    /// What they cost.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The statements of one pool.
#[derive(Debug)]
pub(super) struct PoolMemory {
    process: Arc<PreparedMemory>,
    bytes: AtomicUsize,
}

impl PoolMemory {
    pub(super) fn new(process: Arc<PreparedMemory>) -> Arc<Self> {
        Arc::new(Self { process, bytes: AtomicUsize::new(0) })
    }

    pub(super) fn process(&self) -> &Arc<PreparedMemory> {
        &self.process
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Room for one more statement, if there is any.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let settings = &self.process.settings;
        raise(&self.bytes, bytes, settings.bytes_per_pool_max)?;
        if raise(&self.process.bytes, bytes, settings.bytes_max).is_none() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        self.process.statements.fetch_add(1, Ordering::Relaxed);
        Some(Charge { pool: Arc::clone(self), bytes })
    }
}

fn raise(counter: &AtomicUsize, by: usize, most: usize) -> Option<usize> {
    let raised = |now: usize| now.checked_add(by).filter(|sum| *sum <= most);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).ok()
}

/// One statement's part of the memory. Goes back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    pool: Arc<PoolMemory>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pool.process.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pool.process.statements.fetch_sub(1, Ordering::Relaxed);
    }
}

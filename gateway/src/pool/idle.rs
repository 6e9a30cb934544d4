//! The connections of a pool that nobody uses.

#![expect(clippy::vec_box, reason = "the boxes go from hand to hand with every transaction")]

use super::allocator::reclaim;
use crate::connect::ServerConnection;
use crate::workers::WorkerId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Idle connections, in the order in which they were put back. Lives under its pool's lock.
///
/// The one used last is taken first: it is the warmest, and the others may grow old and be closed. A worker
/// takes those first that it used itself, because their events arrive on its own thread.
pub(super) struct IdleConnections {
    kept: Vec<Box<ServerConnection>>,
    glance: Arc<Glance>,
}

/// What others see of a pool's idle connections without its lock: as it was a moment ago.
#[derive(Debug)]
pub(super) struct Glance {
    count: AtomicU32,
    /// Since when the first is idle, in microseconds on the cluster's clock.
    since_us: AtomicU64,
    clock: Instant,
}

impl Glance {
    /// A glance at no connections. Times count from `clock`.
    pub(super) fn new(clock: Instant) -> Arc<Self> {
        Arc::new(Self { count: AtomicU32::new(0), since_us: AtomicU64::new(0), clock })
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// So many are idle, the first of them since then. Whoever shows this looks afterwards whether somebody lacks
    /// one, and whoever lacks one says so before it looks here.
    pub(super) fn show(&self, count: u32, since: Option<Instant>) {
        if let Some(since) = since {
            let since = since.saturating_duration_since(self.clock);
            self.since_us.store(u64::try_from(since.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.count.store(count, Ordering::SeqCst);
    }

    /// What the allocator is told.
    pub(super) fn idle(&self) -> reclaim::Idle {
        let since = Duration::from_micros(self.since_us.load(Ordering::Relaxed));
        reclaim::Idle { count: self.count(), since }
    }
}

impl IdleConnections {
    pub(super) fn new(glance: Arc<Glance>) -> Self {
        Self { kept: Vec::new(), glance }
    }

    /// Puts one back, which is idle since now.
    pub(super) fn put(&mut self, connection: Box<ServerConnection>) {
        self.kept.push(connection);
        self.tell();
    }

    /// Takes out the best for this thread.
    pub(super) fn take(&mut self) -> Option<Box<ServerConnection>> {
        let here = WorkerId::current();
        let index = self.kept.iter().rposition(|connection| connection.home() == here);
        let connection = match index {
            Some(index) => Some(self.kept.remove(index)),
            None => self.kept.pop(),
        };
        self.tell();
        connection
    }

    /// Takes out the one that was unused for longest.
    pub(super) fn take_oldest(&mut self) -> Option<Box<ServerConnection>> {
        let oldest = (!self.kept.is_empty()).then(|| self.kept.remove(0));
        self.tell();
        oldest
    }

    /// Takes all of them out.
    pub(super) fn take_all(&mut self) -> Vec<Box<ServerConnection>> {
        self.take_unless(|_| false)
    }

    /// Takes those out that are not `good`. The others keep their order.
    pub(super) fn take_unless(
        &mut self,
        mut good: impl FnMut(&mut ServerConnection) -> bool,
    ) -> Vec<Box<ServerConnection>> {
        let taken = self.kept.extract_if(.., |connection| !good(connection)).collect();
        self.tell();
        taken
    }

    /// All of them, the longest unused first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ServerConnection> {
        self.kept.iter().map(|connection| &**connection)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.kept.len()).unwrap_or(u32::MAX)
    }

    fn tell(&self) {
        self.glance.show(self.count(), self.kept.first().map(|oldest| oldest.idle_since()));
    }
}

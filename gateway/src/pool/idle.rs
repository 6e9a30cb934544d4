//! The connections of a pool that nobody uses.

#![expect(clippy::vec_box, reason = "the boxes go from hand to hand with every transaction")]

use crate::connect::ServerConnection;
use crate::workers::WorkerId;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Idle connections, in the order in which they were put back.
///
/// The one used last is taken first: it is the warmest, and the others may grow old and be closed. A worker
/// takes those first that it used itself, because their events arrive on its own thread.
#[derive(Default)]
pub(super) struct IdleConnections {
    kept: Mutex<Vec<Box<ServerConnection>>>,
    count: AtomicU32,
}

impl IdleConnections {
    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Puts one back.
    pub(super) fn put(&self, connection: Box<ServerConnection>) {
        let mut kept = self.kept();
        kept.push(connection);
        self.recount(&kept);
    }

    /// Takes one out.
    pub(super) fn take(&self) -> Option<Box<ServerConnection>> {
        let here = WorkerId::current();
        let mut kept = self.kept();
        let index = kept.iter().rposition(|connection| connection.home() == here);
        let connection = match index {
            Some(index) => Some(kept.remove(index)),
            None => kept.pop(),
        };
        self.recount(&kept);
        connection
    }

    /// Takes those out that are not `good`. The others keep their order.
    pub(super) fn take_unless(
        &self,
        mut good: impl FnMut(&mut ServerConnection) -> bool,
    ) -> Vec<Box<ServerConnection>> {
        let mut kept = self.kept();
        let taken = kept.extract_if(.., |connection| !good(connection)).collect();
        self.recount(&kept);
        taken
    }

    fn recount(&self, kept: &[Box<ServerConnection>]) {
        self.count.store(u32::try_from(kept.len()).unwrap_or(u32::MAX), Ordering::Release);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Box<ServerConnection>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

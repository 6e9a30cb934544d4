//! What the pools of one tenant know of one another without any lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Shared by all pools of a tenant at one cluster.
#[derive(Debug, Default)]
pub struct Siblings {
    /// One of them lacks a connection that another may have to make room for, or together they have too many.
    is_crowded: AtomicBool,
    /// Clients that wait for a connection at any of them.
    waiting: AtomicU32,
    /// Clients that wait until they may keep one.
    waiting_for_long_hold: AtomicU32,
}

/// A place in the queue that all pools of a tenant have together. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct QueuePlace(Arc<Siblings>);

impl Siblings {
    /// Has one of them something to give to another? As of a moment ago.
    pub(super) fn is_crowded(&self) -> bool {
        self.is_crowded.load(Ordering::SeqCst)
    }

    /// Said by the allocator. Whoever has a connection idle from now on shows it and looks at this afterwards, and the
    /// allocator says this before it looks at what is idle: one of the two sees the other.
    pub(super) fn crowd(&self, is_crowded: bool) {
        self.is_crowded.store(is_crowded, Ordering::SeqCst);
    }

    /// A place in the queue, if fewer than so many wait.
    pub(super) fn queue(self: &Arc<Self>, limit: u32) -> Option<QueuePlace> {
        let place = self.queue_at_once();
        (self.waiting.load(Ordering::SeqCst) <= limit).then_some(place)
    }

    /// A place in the queue, however long that is.
    pub(super) fn queue_at_once(self: &Arc<Self>) -> QueuePlace {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        QueuePlace(Arc::clone(self))
    }

    /// Those who wait until they may keep a connection.
    pub(super) fn waiting_for_long_hold(&self) -> &AtomicU32 {
        &self.waiting_for_long_hold
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_so_many_places_and_who_leaves_makes_room() {
        let siblings = Arc::new(Siblings::default());
        let first = siblings.queue(2).expect("nobody waits");
        let _second = siblings.queue(2).expect("one waits");
        assert!(siblings.queue(2).is_none());
        let again = siblings.queue_at_once();
        drop(first);
        assert!(siblings.queue(2).is_none());
        drop(again);
        assert!(siblings.queue(2).is_some());
    }
}

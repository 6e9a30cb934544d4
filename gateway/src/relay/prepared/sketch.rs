//! Which texts were seen lately, roughly.
//!
//! Texts with values written into them come once and never again; to keep them would push out those
//! that come back. So a text is kept when it is seen a second time. Two texts taken for each other here
//! only mean that one is kept a little early.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Texts remembered at most; 8 bytes each, taken when the first one comes.
const SLOTS: u64 = 1024;

#[derive(Debug, Default)]
pub(super) struct Sketch {
    slots: OnceLock<Box<[AtomicU64]>>,
}

impl Sketch {
    /// Was a text with this hash seen before? From now on it was.
    pub(super) fn saw(&self, text_hash: u64) -> bool {
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| AtomicU64::new(0)).collect());
        // Zero is what an empty slot holds.
        let mark = text_hash | 1;
        let index = usize::try_from((text_hash >> 1) % SLOTS).unwrap_or(0);
        slots[index].swap(mark, Ordering::Relaxed) == mark
    }
}

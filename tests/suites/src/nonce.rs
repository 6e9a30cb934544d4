//! Marks in rows and errors that say whose they are: one read by anybody else is a leak.

use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a mark such as `#00000042.000000007#`: the owner, and which of its requests.
pub const MARK_BYTES: usize = 20;

/// Who may read what carries its mark. No two are alike in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// Nobody was this one before.
    #[must_use]
    pub fn anew() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The mark of one request of this owner's.
    #[must_use]
    pub fn mark(self, request: usize) -> String {
        format!("#{:08}.{request:09}#", self.0)
    }

    /// The bytes, with this owner's marks made alike for all owners.
    #[must_use]
    pub fn anonymous(self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for (at, owner) in marks(bytes) {
            if owner == self {
                out[at + 1..at + 9].fill(b'0');
            }
        }
        out
    }

    /// A mark of somebody else's among the bytes.
    #[must_use]
    pub fn stranger_in(self, bytes: &[u8]) -> Option<Self> {
        marks(bytes).map(|(_, owner)| owner).find(|owner| *owner != self)
    }
}

fn marks(bytes: &[u8]) -> impl Iterator<Item = (usize, Owner)> {
    bytes.windows(MARK_BYTES).enumerate().filter_map(|(at, window)| {
        let shape = window[0] == b'#' && window[9] == b'.' && window[MARK_BYTES - 1] == b'#';
        let digits = std::str::from_utf8(&window[1..9]).ok()?;
        shape.then(|| digits.parse().ok()).flatten().map(|owner| (at, Owner(owner)))
    })
}

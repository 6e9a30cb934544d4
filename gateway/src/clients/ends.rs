//! Clients whose end is known beforehand, the next one first.

use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// When which clients are over. As many as there are such clients.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<BTreeSet<(Timestamp, u64)>>);

impl Ends {
    /// The client with this number came.
    pub(super) fn came(&self, at: Option<Timestamp>, id: u64) {
        if let Some(at) = at {
            self.moments().insert((at, id));
        }
    }

    /// It went.
    pub(super) fn went(&self, at: Option<Timestamp>, id: u64) {
        if let Some(at) = at {
            self.moments().remove(&(at, id));
        }
    }

    /// Those that are over since this was asked last.
    pub(super) fn due(&self, now: Timestamp) -> Vec<u64> {
        let mut moments = self.moments();
        let mut due = Vec::new();
        while moments.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(moments.pop_first().map(|(_, id)| id));
        }
        due
    }

    fn moments(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

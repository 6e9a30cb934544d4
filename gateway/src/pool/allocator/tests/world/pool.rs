//! One pool, and what its clients do.

use super::super::super::{Idle, MemberId, Siblings, Terms};
use std::sync::Arc;
use std::time::Duration;

pub(in super::super) struct Pool {
    pub(in super::super) id: MemberId,
    /// Its tenant's number.
    pub(super) tenant: usize,
    pub(super) siblings: Arc<Siblings>,
    /// Its tenant's.
    pub(in super::super) terms: Terms,
    /// How long its transactions take.
    pub(in super::super) work: Duration,
    /// Whether a client that was served wants to be served again at once.
    pub(in super::super) is_greedy: bool,
    pub(in super::super) waiters: u32,
    pub(in super::super) opening: u32,
    /// Since when each is idle, and when its turn began; the longest idle first.
    pub(in super::super) idle: Vec<(Duration, Duration)>,
    pub(in super::super) leased: u32,
    pub(in super::super) long: u32,
    /// Connections that the server has not let go of yet.
    pub(in super::super) closing: u32,
    pub(in super::super) served: u64,
    pub(super) is_asked: bool,
    pub(super) has_left: bool,
}

impl Pool {
    pub(in super::super) fn has_left(&self) -> bool {
        self.has_left
    }

    pub(super) fn idle(&self) -> Idle {
        let since = self.idle.first().map_or(Duration::ZERO, |(since, _)| *since);
        Idle { count: u32::try_from(self.idle.len()).expect("few"), since }
    }
}

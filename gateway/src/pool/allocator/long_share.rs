//! Connections that clients keep for longer than a transaction.
//!
//! Nothing can be taken from such a client before it lets go by itself, so only a share of the budget may be held in
//! this way: the rest stays for transactions, whoever listens or pins. When the budget falls below what is held for
//! long, one connection beyond that stays for them.

use super::{Allocator, MemberId};

/// Why a connection is kept for longer than a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LongHold {
    /// Its client is in session mode.
    Session,
    /// Its client's session has something that exists on this connection only.
    Pinned,
    /// The gateway listens on it for clients.
    Listener,
}

impl LongHold {
    /// Every kind, for the metrics.
    pub const ALL: [Self; 3] = [Self::Session, Self::Pinned, Self::Listener];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Pinned => "pinned",
            Self::Listener => "listener",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Session => 0,
            Self::Pinned => 1,
            Self::Listener => 2,
        }
    }
}

/// What is held for long, and how much of the budget may be.
#[derive(Debug)]
pub(super) struct LongShare {
    percent: u32,
    held: [u32; LongHold::ALL.len()],
}

impl LongShare {
    pub(super) fn new(percent: u32) -> Self {
        Self { percent: percent.min(100), held: [0; LongHold::ALL.len()] }
    }

    pub(super) fn held(&self) -> [u32; LongHold::ALL.len()] {
        self.held
    }

    pub(super) fn sum(&self) -> u32 {
        self.held.iter().sum()
    }

    /// The most that may be held for long. One connection at least stays for transactions.
    pub(super) fn limit(&self, budget: u32) -> u32 {
        let share = u64::from(budget) * u64::from(self.percent) / 100;
        u32::try_from(share).unwrap_or(budget).min(budget.saturating_sub(1))
    }
}

impl Allocator {
    /// Counts one of the member's connections as held for long. `false`: as many are as may be.
    pub fn keep_long(&mut self, id: MemberId, kind: LongHold) -> bool {
        let is_allowed = self.long.sum() < self.long.limit(self.limit);
        if !is_allowed || !self.members.contains_key(&id) {
            return false;
        }
        self.long.held[kind.index()] += 1;
        self.edit(id, |member| member.long += 1);
        true
    }

    /// One of them is held for something else from now on.
    pub fn change_long(&mut self, from: LongHold, to: LongHold) {
        let held = &mut self.long.held;
        held[from.index()] = held[from.index()].saturating_sub(1);
        held[to.index()] += 1;
    }

    /// One of them is no longer held for long.
    pub fn end_long(&mut self, id: MemberId, kind: LongHold) {
        let held = &mut self.long.held[kind.index()];
        *held = held.saturating_sub(1);
        self.edit(id, |member| member.long = member.long.saturating_sub(1));
    }

    /// The most that may be held. Long holders that the limit has fallen below leave one connection to transactions,
    /// or nobody would be served before they go. That is no more than was allowed before: they never filled a limit
    /// by themselves.
    #[must_use]
    pub fn in_force(&self) -> u32 {
        if self.is_filled_by_long_holders() { self.long.sum() + 1 } else { self.limit }
    }

    pub(super) fn bound(&self) -> i64 {
        self.in_force().into()
    }

    pub(super) fn is_filled_by_long_holders(&self) -> bool {
        self.limit > 0 && self.long.sum() >= self.limit
    }
}

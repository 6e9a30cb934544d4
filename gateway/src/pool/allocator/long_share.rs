//! Connections that clients keep for longer than a transaction.
//!
//! Nothing can be taken from such a client before it lets go by itself, so only a share of the budget may be held in
//! this way: the rest stays for transactions, whoever listens or pins. When the budget falls below what is held for
//! long, one connection beyond that stays for them.

use super::group::Group;
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

    /// The smallest budget of which so many may be held for long; none where nothing may.
    fn budget_for(&self, held: u32) -> u32 {
        match u64::from(self.percent) {
            0 => 0,
            percent => {
                let budget = (u64::from(held) * 100).div_ceil(percent);
                u32::try_from(budget).unwrap_or(u32::MAX).max(held.saturating_add(1))
            }
        }
    }
}

impl Allocator {
    /// Counts one of the member's connections as held for long. `false`: as many are as may be.
    pub fn keep_long(&mut self, id: MemberId, kind: LongHold) -> bool {
        if self.long.sum() >= self.long.limit(self.limit) || !self.may_hold(id, kind) {
            return false;
        }
        self.long.held[kind.index()] += 1;
        self.edit_member(id, |member| {
            member.counts.long += 1;
            member.counts.listening += u32::from(kind == LongHold::Listener);
        });
        true
    }

    /// One of them is held for something else from now on. `false`: it may not be.
    pub fn change_long(&mut self, id: MemberId, from: LongHold, to: LongHold) -> bool {
        if from != to && !self.may_hold(id, to) {
            return false;
        }
        let held = &mut self.long.held;
        held[from.index()] = held[from.index()].saturating_sub(1);
        held[to.index()] += 1;
        self.edit_member(id, |member| {
            let listening = member.counts.listening + u32::from(to == LongHold::Listener);
            member.counts.listening = listening.saturating_sub(u32::from(from == LongHold::Listener));
        });
        true
    }

    /// One of them is no longer held for long.
    pub fn end_long(&mut self, id: MemberId, kind: LongHold) {
        let held = &mut self.long.held[kind.index()];
        *held = held.saturating_sub(1);
        self.edit_member(id, |member| {
            let is_listener = u32::from(kind == LongHold::Listener);
            member.counts.long = member.counts.long.saturating_sub(1);
            member.counts.listening = member.counts.listening.saturating_sub(is_listener);
        });
    }

    /// Each of a tenant's pools may listen on a connection of its own. Together they leave one to transactions. A pool's
    /// former listener that is about to go does not keep it from another.
    #[must_use]
    pub fn may_hold(&self, id: MemberId, kind: LongHold) -> bool {
        self.group_of(id).is_some_and(|(_, group)| {
            let others = group.members.iter().filter(|member| member.id != id && member.counts.listening > 0);
            kind != LongHold::Listener || others.count() + 1 < cap(group)
        })
    }

    /// Do as many of the member and its siblings listen as they may have connections?
    #[must_use]
    pub fn listens_on_all(&self, id: MemberId) -> bool {
        self.group_of(id).is_some_and(|(_, group)| {
            let listening = group.members.iter().filter(|member| member.counts.listening > 0);
            listening.count().max(1) >= cap(group)
        })
    }

    /// The limit with which so many more could be held for long.
    #[must_use]
    pub fn useful_limit_for_long(&self, more: usize) -> u32 {
        match u32::try_from(more).unwrap_or(u32::MAX) {
            0 => 0,
            more => self.long.budget_for(self.long.sum().saturating_add(more)),
        }
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

fn cap(group: &Group) -> usize {
    usize::try_from(group.terms.cap).unwrap_or(usize::MAX)
}

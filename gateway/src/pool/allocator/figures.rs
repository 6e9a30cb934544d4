//! How a budget is used, in numbers.

use super::{Allocator, LongHold, MemberId};

/// What a cluster's connections are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// The most that may be held.
    pub limit: u32,
    /// Permits out: connections open, being opened or being closed.
    pub held: u32,
    /// Of these, on their way back.
    pub closing: u32,
    /// Of these, of connections that were closed and that the server does not let go of.
    pub stuck: u32,
    /// Permits that pools would take if there were more.
    pub wanted: u32,
    /// Tenants whose pools would.
    pub waiting_pools: u32,
    /// Free permits that are kept for the floors of tenants that hold less.
    pub reserved: u32,
    /// Connections held for longer than a transaction, by kind.
    pub long: [u32; LongHold::ALL.len()],
    /// The most of them.
    pub long_limit: u32,
}

/// What one member has, and what is due to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Connections that are due to its group beside the others that hold or want some now.
    pub share: u32,
    /// Connections that it holds for longer than a transaction.
    pub long: u32,
}

impl Allocator {
    /// The most that may be held.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Permits out.
    #[must_use]
    pub fn held(&self) -> u32 {
        count(self.sums.held)
    }

    /// Permits that members would take if there were more.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        count(self.sums.lacking)
    }

    /// The limit with which all that is lacking could be granted, if members went on holding so many as they hold now
    /// `in_use`: what is kept free for floors beside those who lack something counts as well.
    #[must_use]
    pub fn useful_limit(&self, in_use: u32) -> u32 {
        let beside = match self.sums.lacking {
            0 => 0,
            _ => count(self.missing_of_floors() - self.sums.floors_lacking),
        };
        in_use.saturating_add(self.wanted()).saturating_add(beside)
    }

    /// Permits granted so far.
    #[must_use]
    pub fn grants(&self) -> u64 {
        self.grants
    }

    /// What a member has, and what is due to its group: its part by weight, no less than its floor, no more than its cap.
    #[must_use]
    pub fn standing(&self, id: MemberId) -> Standing {
        let Some((_, group)) = self.group_of(id) else { return Standing::default() };
        let own = u64::from(group.terms.weight());
        let others = u64::from(count(self.sums.weight - group.share.weight));
        let by_weight = u64::from(self.limit) * own / (own + others);
        let floor = self.floors.of(group.terms.floor());
        let share = u32::try_from(by_weight).unwrap_or(self.limit).max(floor).min(group.terms.cap);
        Standing { share, long: group.member(id).map_or(0, |member| member.counts.long) }
    }

    /// Other members of the member's group.
    #[must_use]
    pub fn beside(&self, id: MemberId) -> usize {
        self.group_of(id).map_or(0, |(_, group)| group.members.len().saturating_sub(1))
    }

    /// What is held, and for what.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings {
            limit: self.limit,
            held: self.held(),
            closing: count(self.sums.coming),
            stuck: count(self.sums.stuck),
            wanted: self.wanted(),
            waiting_pools: u32::try_from(self.claims.len()).unwrap_or(u32::MAX),
            reserved: count(self.missing_of_floors().min(self.free())),
            long: self.long.held(),
            long_limit: self.long.limit(self.limit),
        }
    }
}

/// A number of permits that is never negative by how it is made.
fn count(permits: i64) -> u32 {
    u32::try_from(permits.max(0)).unwrap_or(u32::MAX)
}

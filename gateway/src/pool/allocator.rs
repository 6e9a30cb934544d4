//! Who gets the next connection to a cluster, and who gives one up for it.
//!
//! One allocator shares a cluster's budget out over its members, the pools. Each permit of the budget is free or
//! held by one member, from before a connection is dialled until its server has closed it. What is to be done about
//! it comes out as [`Action`]s, which the caller carries out after it has let go of the allocator.
//!
//! - Granted first: who is below its floor; then who holds least for its weight; among equals whose turn it is
//!   ([`FairQueue`]). So everybody has one connection before anybody has a second, and with more members than
//!   connections turns follow weights and nobody starves.
//! - Places for floors are kept free for their owners, but for a tenth of the limit, one at least, so that who has no
//!   floor is served too. Floors that exceed the rest together shrink in proportion.
//! - While somebody lacks a connection, others give theirs up: see [`reclaim`].
//! - What is held for longer than a transaction is bounded: see [`long_share`].
//!
//! Pure: no I/O, no lock, no clock but the times it is told. Nothing here is done for members that neither hold nor
//! want anything.

pub mod figures;
mod floors;
pub mod long_share;
mod member;
pub mod reclaim;

pub use figures::{Holdings, Standing};
pub use long_share::LongHold;
pub use member::{MemberId, Phase, Terms};
pub use reclaim::{Idle, Reason, Release};

use super::fair_queue::FairQueue;
use floors::Floors;
use long_share::LongShare;
use member::{Member, Rank, Share};
use reclaim::Reclaims;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// What the caller has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The member has one more permit. It says when it has noticed: [`Allocator::took`].
    Grant(MemberId),
    /// The member is to close the idle connection that it has not used for longest, and to say whether it had any:
    /// [`Allocator::evicted`].
    Evict(MemberId),
    /// The member is to ask about every connection that is given back to it: [`Allocator::release`].
    Yield(MemberId),
}

/// A budget and those who share it.
#[derive(Debug)]
pub struct Allocator {
    limit: u32,
    next_id: u64,
    members: HashMap<MemberId, Member>,
    floors: Floors,
    /// Members that lack something, the next to be served first.
    claims: FairQueue<MemberId, Rank>,
    /// Members that hold something, the one with most for its weight first.
    holders: BTreeSet<(Reverse<u64>, MemberId)>,
    sums: Sums,
    long: LongShare,
    reclaims: Reclaims,
    actions: VecDeque<Action>,
    /// Permits granted so far.
    grants: u64,
}

/// What all members add up to.
type Sums = Share;

impl Allocator {
    /// A budget of so many connections that nobody shares yet. `long_percent` of them may be held for longer than
    /// a transaction.
    #[must_use]
    pub fn new(limit: u32, long_percent: u32) -> Self {
        Self {
            limit,
            next_id: 0,
            members: HashMap::new(),
            floors: Floors::new(limit),
            claims: FairQueue::default(),
            holders: BTreeSet::new(),
            sums: Sums::default(),
            long: LongShare::new(long_percent),
            reclaims: Reclaims::default(),
            actions: VecDeque::new(),
            grants: 0,
        }
    }

    /// Adds a member. Its floor counts from now on.
    pub fn join(&mut self, terms: Terms) -> MemberId {
        self.next_id += 1;
        let id = MemberId::new(self.next_id);
        self.members.insert(id, Member::new(terms));
        self.change_floor(id, 0, terms.floor());
        id
    }

    /// The member wants nothing any more. It is forgotten when it holds nothing.
    pub fn leave(&mut self, id: MemberId) {
        let Some(member) = self.members.get(&id) else { return };
        let floor = member.terms.floor();
        self.edit(id, |member| {
            member.wanted = 0;
            member.has_left = true;
            member.terms.floor = 0;
        });
        self.change_floor(id, floor, 0);
        self.forget_if_empty(id);
    }

    /// The member's terms have changed.
    pub fn set_terms(&mut self, id: MemberId, terms: Terms) {
        let Some(member) = self.members.get(&id).filter(|member| !member.has_left) else { return };
        let floor = member.terms.floor();
        self.edit(id, |member| member.terms = terms);
        self.change_floor(id, floor, terms.floor());
    }

    /// The budget has changed. What is held beyond a smaller one is given up as it can be.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        if self.floors.set_limit(limit) {
            self.reweigh_floors();
        }
    }

    /// The member would take so many permits now, beyond those that it has noticed.
    pub fn want(&mut self, id: MemberId, wanted: u32) {
        self.edit(id, |member| {
            if !member.has_left {
                member.wanted = wanted;
            }
        });
    }

    /// The member takes a permit, if one is free or not.
    #[cfg(test)]
    pub(crate) fn take(&mut self, id: MemberId) {
        self.edit(id, |member| member.held += 1);
    }

    /// The member has noticed a permit that was granted, and wants so many beyond it.
    pub fn took(&mut self, id: MemberId, wanted: u32) {
        self.edit(id, |member| {
            member.pending = member.pending.saturating_sub(1);
            member.wanted = if member.has_left { 0 } else { wanted };
        });
    }

    /// A connection of the member's is being closed: its permit is on the way back.
    pub fn closing(&mut self, id: MemberId) {
        self.passes(id, Phase::Open, Phase::Closing);
    }

    /// A permit of the member's passes from one phase to the next.
    pub fn passes(&mut self, id: MemberId, from: Phase, to: Phase) {
        self.edit(id, |member| member.passes(from, to));
    }

    /// A permit of the member's is free again, which was in this phase.
    pub fn returned(&mut self, id: MemberId, phase: Phase) {
        self.edit(id, |member| {
            member.passes(phase, Phase::Open);
            member.held = member.held.saturating_sub(1);
        });
        self.forget_if_empty(id);
    }

    /// Has the member been granted a permit that it has not noticed yet?
    #[must_use]
    pub fn has_granted(&self, id: MemberId) -> bool {
        self.members.get(&id).is_some_and(|member| member.pending > 0)
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Is there anything to do?
    #[must_use]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Grants what is free to those who are to have it.
    pub(super) fn grant(&mut self) {
        while let Some((id, place)) = self.claims.first() {
            let is_reserved = place.rank().is_below_floor();
            let kept_for_others = if is_reserved { 0 } else { self.missing_of_floors() };
            if self.free() <= kept_for_others {
                return;
            }
            let weight = self.members.get(&id).map_or(1, |member| member.terms.weight());
            let turn = self.claims.serve(place, weight);
            self.edit(id, |member| {
                member.held += 1;
                member.pending += 1;
                member.turn = turn;
            });
            self.grants += 1;
            self.actions.push_back(Action::Grant(id));
        }
    }

    /// Permits that nobody holds; less than none while a lowered limit is exceeded.
    fn free(&self) -> i64 {
        self.bound() - self.sums.held
    }

    /// Of all floors, what is not held. Nothing is kept free for them of the one connection that is left when long
    /// holders fill the limit: those below their floor come first, and then all the others.
    fn missing_of_floors(&self) -> i64 {
        if self.is_filled_by_long_holders() { 0 } else { self.floors.kept() - self.sums.floors_held }
    }

    /// Changes a member, and everything that follows from it.
    fn edit(&mut self, id: MemberId, change: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(&id) else { return };
        change(member);
        let share = member.share_of(&self.floors);
        let was_busy = member.share.held > 0;
        self.sums.replace(member.share, share);
        member.share = share;
        let rank = (share.lacking > 0).then(|| member.rank(&self.floors));
        member.wait(id, rank, was_busy, &mut self.claims);
        let level = (member.held > 0).then(|| Reverse(member.level()));
        if level != member.listed {
            if let Some(old) = std::mem::replace(&mut member.listed, level) {
                self.holders.remove(&(old, id));
            }
            self.holders.extend(level.map(|level| (level, id)));
        }
    }

    fn change_floor(&mut self, id: MemberId, old: u32, new: u32) {
        if self.floors.replace(old, new) {
            self.reweigh_floors();
        }
        self.edit(id, |_its_floor_counts_differently| {});
    }

    /// All floors count differently.
    fn reweigh_floors(&mut self) {
        let active: Vec<MemberId> =
            self.holders.iter().map(|(_, id)| *id).chain(self.claims.iter().map(|(id, _)| id)).collect();
        for id in active {
            self.edit(id, |_its_floor_counts_differently| {});
        }
    }

    fn forget_if_empty(&mut self, id: MemberId) {
        if self.members.get(&id).is_some_and(|member| member.has_left && member.held == 0) {
            self.members.remove(&id);
        }
    }
}

impl Share {
    fn replace(&mut self, old: Share, new: Share) {
        self.held += new.held - old.held;
        self.coming += new.coming - old.coming;
        self.stuck += new.stuck - old.stuck;
        self.lacking += new.lacking - old.lacking;
        self.floors_held += new.floors_held - old.floors_held;
        self.floors_lacking += new.floors_lacking - old.floors_lacking;
        self.weight += new.weight - old.weight;
    }
}

#[cfg(test)]
mod tests;

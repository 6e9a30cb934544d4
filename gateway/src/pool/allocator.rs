//! Who gets the next connection to a cluster, and who gives one up for it.
//!
//! One allocator shares a cluster's budget out over its members, the pools. Those of one tenant form a group and stand
//! as one beside others: see [`inside`] for what they do among themselves. Each permit of the budget is free or held
//! by one member, from before a connection is dialled until its server has closed it. What is to be done about
//! it comes out as [`Action`]s, which the caller carries out after it has let go of the allocator.
//!
//! - Granted first: who is below its floor; then who holds least for its weight; among equals whose turn it is
//!   ([`FairQueue`]). So everybody has one connection before anybody has a second, and with more groups than
//!   connections turns follow weights and nobody starves.
//! - Places for floors are kept free for their owners, but for a tenth of the limit, one at least, so that who has no
//!   floor is served too. Floors that exceed the rest together shrink in proportion.
//! - While somebody lacks a connection, others give theirs up: see [`reclaim`].
//! - What is held for longer than a transaction is bounded: see [`long_share`].
//!
//! Pure: no I/O, no lock, no clock but the times it is told; what it shows of itself is one flag for each group
//! ([`Siblings`]). Nothing here is done for groups that neither hold nor want anything.

pub mod figures;
mod floors;
mod group;
mod inside;
pub mod long_share;
mod member;
pub mod reclaim;

pub use figures::{Holdings, Standing};
pub use group::Terms;
pub use long_share::LongHold;
pub use member::{MemberId, Phase};
pub use reclaim::{Idle, Reason, Release};

use super::fair_queue::FairQueue;
use super::siblings::Siblings;
use floors::Floors;
use group::{Group, GroupId, Rank, Share};
use long_share::LongShare;
use member::Member;
use reclaim::Reclaims;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use tenancy::TenantId;

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
    groups: HashMap<GroupId, Group>,
    /// The groups of tenants.
    tenants: HashMap<TenantId, GroupId>,
    /// The groups of members.
    members: HashMap<MemberId, GroupId>,
    floors: Floors,
    /// Groups that lack something, the next to be served first.
    claims: FairQueue<GroupId, Rank>,
    /// Groups that hold something, the one with most for its weight first.
    holders: BTreeSet<(Reverse<u64>, GroupId)>,
    /// Groups whose members may have something to give to one another.
    crowded: BTreeSet<GroupId>,
    sums: Sums,
    long: LongShare,
    reclaims: Reclaims,
    actions: VecDeque<Action>,
    /// Permits granted so far.
    grants: u64,
}

/// What all groups add up to.
type Sums = Share;

impl Allocator {
    /// A budget of so many connections that nobody shares yet. `long_percent` of them may be held for longer than
    /// a transaction.
    #[must_use]
    pub fn new(limit: u32, long_percent: u32) -> Self {
        Self {
            limit,
            next_id: 0,
            groups: HashMap::new(),
            tenants: HashMap::new(),
            members: HashMap::new(),
            floors: Floors::new(limit),
            claims: FairQueue::default(),
            holders: BTreeSet::new(),
            crowded: BTreeSet::new(),
            sums: Sums::default(),
            long: LongShare::new(long_percent),
            reclaims: Reclaims::default(),
            actions: VecDeque::new(),
            grants: 0,
        }
    }

    /// Adds a member to its tenant's group, which has these terms from now on: its floor counts once. What comes back
    /// besides is what members of the group know of one another.
    pub fn join(&mut self, tenant: TenantId, terms: Terms) -> (MemberId, Arc<Siblings>) {
        let id = MemberId::new(self.number());
        let group = match self.tenants.get(&tenant) {
            Some(group) => *group,
            None => {
                let group = self.add(Group::new(Some(tenant), terms));
                self.tenants.insert(tenant, group);
                self.change_floor(group, 0, terms.floor());
                group
            }
        };
        self.members.insert(id, group);
        self.edit(group, |group| group.members.push(Member::new(id)));
        self.set_terms(id, terms);
        (id, self.groups.get(&group).map(|group| Arc::clone(&group.siblings)).unwrap_or_default())
    }

    /// The member wants nothing any more, and is no longer its tenant's: what it still holds does not keep the others
    /// from theirs. It is forgotten when it holds nothing.
    pub fn leave(&mut self, id: MemberId) {
        let Some((group_id, group)) = self.group_of(id).filter(|(_, group)| !group.has_left()) else {
            return;
        };
        let (tenant, terms) = (group.tenant, group.terms);
        let mut left = None;
        self.edit(group_id, |group| {
            left = group.members.extract_if(.., |member| member.id == id).next();
        });
        if self.groups.get(&group_id).is_some_and(|group| group.members.is_empty()) {
            self.change_floor(group_id, terms.floor(), 0);
            self.groups.remove(&group_id);
            tenant.and_then(|tenant| self.tenants.remove(&tenant));
        }
        self.members.remove(&id);
        if let Some(member) = left.filter(|member| member.counts.held > 0) {
            let alone = self.add(Group::new(None, Terms { floor: 0, ..terms }));
            self.members.insert(id, alone);
            self.edit(alone, |group| group.members.push(Member { wanted: 0, ..member }));
        }
    }

    /// The terms of the member's group have changed.
    pub fn set_terms(&mut self, id: MemberId, terms: Terms) {
        let Some((group_id, group)) = self.group_of(id).filter(|(_, group)| !group.has_left()) else {
            return;
        };
        if group.terms != terms {
            let floor = group.terms.floor();
            self.edit(group_id, |group| group.terms = terms);
            self.change_floor(group_id, floor, terms.floor());
        }
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
        let wanted = if self.has_left(id) { 0 } else { wanted };
        self.edit_member(id, |member| member.wanted = wanted);
    }

    /// The member takes a permit, if one is free or not.
    #[cfg(test)]
    pub(crate) fn take(&mut self, id: MemberId) {
        self.edit_member(id, |member| member.counts.held += 1);
    }

    /// The member has noticed a permit that was granted, and wants so many beyond it.
    pub fn took(&mut self, id: MemberId, wanted: u32) {
        let wanted = if self.has_left(id) { 0 } else { wanted };
        self.edit_member(id, |member| member.took(wanted));
    }

    /// A connection of the member's is being closed: its permit is on the way back.
    pub fn closing(&mut self, id: MemberId) {
        self.passes(id, Phase::Open, Phase::Closing);
    }

    /// A permit of the member's passes from one phase to the next.
    pub fn passes(&mut self, id: MemberId, from: Phase, to: Phase) {
        self.edit_member(id, |member| member.counts.passes(from, to));
    }

    /// A permit of the member's is free again, which was in this phase.
    pub fn returned(&mut self, id: MemberId, phase: Phase) {
        self.edit_member(id, |member| member.returned(phase));
        if let Some((group_id, group)) = self.group_of(id)
            && group.has_left()
            && group.counts.held == 0
        {
            self.groups.remove(&group_id);
            self.members.remove(&id);
        }
    }

    /// Has the member been granted a permit that it has not noticed yet?
    #[must_use]
    pub fn has_granted(&self, id: MemberId) -> bool {
        self.member(id).is_some_and(|member| member.counts.pending > 0)
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
            let Some(group) = self.groups.get(&id) else { return };
            let Some(next) = group.next_claim(0).map(|claim| claim.member) else { return };
            let turn = self.claims.serve(place, group.terms.weight());
            self.grants += 1;
            let served = self.grants;
            self.edit(id, |group| {
                group.turn = turn;
                if let Some(member) = group.member_mut(next) {
                    member.counts.held += 1;
                    member.counts.pending += 1;
                    member.served = served;
                }
            });
            self.actions.push_back(Action::Grant(next));
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

    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn add(&mut self, group: Group) -> GroupId {
        let id = GroupId::new(self.number());
        self.groups.insert(id, group);
        id
    }

    fn group_of(&self, id: MemberId) -> Option<(GroupId, &Group)> {
        let group_id = *self.members.get(&id)?;
        self.groups.get(&group_id).map(|group| (group_id, group))
    }

    fn member(&self, id: MemberId) -> Option<&Member> {
        self.group_of(id).and_then(|(_, group)| group.member(id))
    }

    fn has_left(&self, id: MemberId) -> bool {
        self.group_of(id).is_none_or(|(_, group)| group.has_left())
    }

    /// Changes a member, and everything that follows from it.
    fn edit_member(&mut self, id: MemberId, change: impl FnOnce(&mut Member)) {
        let Some(group) = self.members.get(&id).copied() else { return };
        self.edit(group, |group| group.member_mut(id).map_or((), change));
    }

    /// Changes a group, and everything that follows from it.
    fn edit(&mut self, id: GroupId, change: impl FnOnce(&mut Group)) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let was_busy = group.share.held > 0;
        change(group);
        group.add_up();
        let share = group.share_of(&self.floors);
        self.sums.replace(group.share, share);
        group.share = share;
        let rank = (share.lacking > 0).then(|| group.rank(&self.floors));
        group.wait(id, rank, was_busy, &mut self.claims);
        let level = (share.held > 0).then(|| Reverse(group.level()));
        if level != group.listed {
            if let Some(old) = std::mem::replace(&mut group.listed, level) {
                self.holders.remove(&(old, id));
            }
            self.holders.extend(level.map(|level| (level, id)));
        }
        let is_crowded = group.is_crowded();
        if is_crowded != self.crowded.contains(&id) {
            if is_crowded {
                self.crowded.insert(id)
            } else {
                self.crowded.remove(&id)
            };
            group.siblings.crowd(is_crowded);
        }
    }

    fn change_floor(&mut self, id: GroupId, old: u32, new: u32) {
        if self.floors.replace(old, new) {
            self.reweigh_floors();
        }
        self.edit(id, |_its_floor_counts_differently| {});
    }

    /// All floors count differently.
    fn reweigh_floors(&mut self) {
        let active: Vec<GroupId> =
            self.holders.iter().map(|(_, id)| *id).chain(self.claims.iter().map(|(id, _)| id)).collect();
        for id in active {
            self.edit(id, |_its_floor_counts_differently| {});
        }
    }
}

#[cfg(test)]
mod tests;

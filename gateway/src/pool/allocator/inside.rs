//! What the pools of one tenant give to one another.
//!
//! They stand as one beside other tenants, and as equals beside one another: who has least is served first, and among
//! those who was served longest ago. Where the tenant may have no more connections, or the cluster has no more for it,
//! one pool makes room for another:
//!
//! - One that would still have no less after it had given a connection to the other gives up idle ones at once, and
//!   leased ones when their transactions end.
//! - If none would, a connection goes when it has been idle for a moment, or at the end of a transaction when its turn
//!   is over and the other has none that serves all its clients.
//! - When the tenant may have fewer than it has, those go that are idle or given back first, whosever they are.
//!
//! What is given up so is free, and granted as everything else: a tenant whose pools change gains nothing by it beside
//! others.

use super::group::{Group, GroupId};
use super::member::{Member, MemberId};
use super::reclaim::{
    EVICTIONS_AT_ONCE_MAX, IDLE_BEFORE_TAKEN, IDLE_BEFORE_TAKEN_BY_RICHER, Idle, LOOK_INTERVAL,
    LOOKED_AT_ANY_TIME, Reason,
};
use super::{Action, Allocator};
use std::cmp::Reverse;
use std::time::Duration;

/// What one member lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) member: MemberId,
    /// What it has for all its clients, once the claims before this one are met.
    has: u32,
}

impl Claim {
    /// Would the other still have no less, after it had given one to this one?
    fn is_below(&self, other: &Member) -> bool {
        other.counts.for_all() > self.has + 1
    }
}

impl Group {
    /// May its members have something to give to one another, or are there too many?
    pub(super) fn is_crowded(&self) -> bool {
        !self.has_left() && (self.excess() > 0 || (self.members.len() > 1 && self.unmet > 0))
    }

    /// Connections that are open beyond the cap, but for those that members were told to close.
    pub(super) fn excess(&self) -> u32 {
        self.counts.open().saturating_sub(self.terms.cap + self.counts.evicting)
    }

    /// Claims that can be met as long as no more connections are ending.
    fn reachable(&self) -> u32 {
        self.unmet.min(self.room_with_ending())
    }

    /// Of these, those that are met only if one member makes room for another, because of the cap.
    fn blocked(&self) -> u32 {
        self.reachable().saturating_sub(self.room() + self.counts.evicting)
    }

    /// The claim that is served behind so many others.
    pub(super) fn next_claim(&self, behind: u32) -> Option<Claim> {
        if let [member] = &*self.members {
            let has = member.counts.for_all() + behind;
            return (member.unmet() > behind).then_some(Claim { member: member.id, has });
        }
        let of = |member: &Member| (member.counts.for_all(), member.served, member.unmet(), member.id);
        let mut waiting: Vec<_> = self.members.iter().map(of).collect();
        let mut next = None;
        for _ in 0..=behind {
            let lacking = waiting.iter_mut().filter(|(_, _, unmet, _)| *unmet > 0);
            let (has, served, unmet, member) = lacking.min_by_key(|(has, served, ..)| (*has, *served))?;
            next = Some(Claim { member: *member, has: *has });
            (*has, *served, *unmet) = (*has + 1, u64::MAX, *unmet - 1);
        }
        next
    }

    /// Who closes an idle connection for this claim. An error is when one may go, if that is only a matter of time.
    fn giver(
        &self,
        claim: &Claim,
        now: Duration,
        idle: impl Fn(MemberId) -> Idle,
    ) -> Result<MemberId, Option<Duration>> {
        let others = self.members.iter().filter(|member| member.id != claim.member);
        let givers: Vec<(&Member, Duration)> = others
            .map(|member| (member, idle(member.id)))
            .filter(|(member, idle)| idle.count > member.counts.evicting)
            .map(|(member, idle)| (member, idle.since))
            .collect();
        let above = givers.iter().filter(|(member, _)| claim.is_below(member));
        if let Some((member, _)) =
            above.max_by_key(|(member, since)| (member.counts.for_all(), Reverse(*since)))
        {
            return Ok(member.id);
        }
        let due = |(member, since): &(&Member, Duration)| {
            let is_richer = claim.has >= member.counts.for_all();
            *since + if is_richer { IDLE_BEFORE_TAKEN_BY_RICHER } else { IDLE_BEFORE_TAKEN }
        };
        match givers.iter().min_by_key(|giver| due(giver)) {
            Some(giver) if due(giver) <= now => Ok(giver.0.id),
            Some(giver) => Err(Some(due(giver))),
            None => Err(None),
        }
    }

    /// Who closes an idle connection for others: who lacks none itself, and has not used it for longest.
    pub(super) fn idlest(&self, idle: impl Fn(MemberId) -> Idle) -> Option<MemberId> {
        let with_idle = self.members.iter().map(|member| (member, idle(member.id)));
        let idlest = with_idle
            .filter(|(member, idle)| idle.count > member.counts.evicting)
            .min_by_key(|(member, idle)| (member.unmet() > 0, idle.since));
        idlest.map(|(member, _)| member.id)
    }
}

impl Allocator {
    /// Has members of crowded groups make room for one another. Returns when to look again, if that is only a matter of
    /// time.
    pub(super) fn settle_crowded(
        &mut self,
        now: Duration,
        idle: &impl Fn(MemberId) -> Idle,
    ) -> Option<Duration> {
        if let Some(looked) = self.reclaims.looked_inside
            && self.crowded.len() > LOOKED_AT_ANY_TIME
            && now < looked + LOOK_INTERVAL
        {
            return Some(looked + LOOK_INTERVAL);
        }
        self.reclaims.looked_inside = (!self.crowded.is_empty()).then_some(now);
        let crowded: Vec<GroupId> = self.crowded.iter().copied().collect();
        crowded.into_iter().filter_map(|group| self.settle_inside(group, now, idle)).min()
    }

    fn settle_inside(
        &mut self,
        id: GroupId,
        now: Duration,
        idle: &impl Fn(MemberId) -> Idle,
    ) -> Option<Duration> {
        self.shed_excess(id, idle);
        for _ in 0..EVICTIONS_AT_ONCE_MAX {
            let group = self.groups.get(&id)?;
            let claim = self.claim_inside(group)?;
            match group.giver(&claim, now, idle) {
                Ok(member) => self.tell_to_evict(member, Reason::Sibling),
                Err(next_look) => {
                    self.ask_members(id, |member| claim.member != member.id && claim.is_below(member));
                    return next_look;
                }
            }
        }
        Some(now + LOOK_INTERVAL)
    }

    /// The cap has fallen below what is open.
    fn shed_excess(&mut self, id: GroupId, idle: &impl Fn(MemberId) -> Idle) {
        while let Some(group) = self.groups.get(&id).filter(|group| group.excess() > 0) {
            match group.idlest(idle) {
                Some(member) => self.tell_to_evict(member, Reason::Limit),
                None => return self.ask_members(id, |_whose| true),
            }
        }
    }

    /// The first claim of the group that is met only if one of its members makes room for another.
    fn claim_inside(&self, group: &Group) -> Option<Claim> {
        let shortage = u32::try_from(self.shortage().max(0)).unwrap_or(u32::MAX);
        let open = group.blocked() + group.lacking().min(shortage);
        if open == 0 || group.members.len() < 2 {
            return None;
        }
        group.next_claim(group.reachable().saturating_sub(open))
    }

    /// Does what the member gives back go to another of its group?
    pub(super) fn is_given_inside(&self, group: &Group, id: MemberId, turn_is_over: bool) -> bool {
        let Some((claim, member)) = self.claim_inside(group).zip(group.member(id)) else { return false };
        claim.member != id && (claim.is_below(member) || (turn_is_over && claim.has == 0))
    }

    /// Tells members of whom this is so to ask about what is given back to them.
    fn ask_members(&mut self, id: GroupId, is_asked: impl Fn(&Member) -> bool) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let asked = group.members.iter_mut().filter(|member| is_asked(member));
        for member in asked.filter(|member| !member.is_asked && member.counts.can_be_had() > 0) {
            member.is_asked = true;
            self.actions.push_back(Action::Yield(member.id));
        }
    }

    /// Has all members of a group ask about what is given back to them.
    pub(super) fn ask_group(&mut self, id: GroupId) {
        self.ask_members(id, |_whose| true);
    }
}

//! Closing idle connections of some groups for others.

use super::{
    EVICTIONS_AT_ONCE_MAX, IDLE_BEFORE_TAKEN, IDLE_BEFORE_TAKEN_BY_RICHER, Idle, LOOK_INTERVAL, Reason,
};
use crate::pool::allocator::group::{GroupId, Rank};
use crate::pool::allocator::{Allocator, MemberId};
use crate::pool::fair_queue::Place;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// An idle connection that could be closed, or several of one group.
pub(super) struct Candidate {
    id: GroupId,
    since: Duration,
    idle: u32,
    /// What the group has beyond its floor.
    spare: u32,
    kept: u32,
}

/// Somebody who lacks something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    rank: Reverse<Rank>,
    order: Reverse<usize>,
    id: GroupId,
    kept: u32,
    lacking: u32,
}

impl Allocator {
    pub(super) fn candidates(&self, idle: &impl Fn(MemberId) -> Idle) -> Vec<Candidate> {
        let of_group = |id: GroupId| {
            let group = self.groups.get(&id)?;
            let idle = group.members.iter().map(|member| idle(member.id)).filter(|idle| idle.count > 0);
            let (count, since) = idle
                .fold((0, Duration::MAX), |(count, since), idle| (count + idle.count, since.min(idle.since)));
            let candidate = Candidate {
                id,
                since,
                idle: u32::saturating_sub(count, group.counts.evicting),
                spare: group.spare(&self.floors),
                kept: group.counts.kept(),
            };
            (candidate.idle > 0 && candidate.spare > 0).then_some(candidate)
        };
        self.holders.iter().filter_map(|(_, id)| of_group(*id)).collect()
    }

    /// Closes idle connections for those who lack some, in the order in which they are served. Returns when one more
    /// may be closed, if that is only a matter of time.
    pub(super) fn evict(
        &mut self,
        now: Duration,
        mut candidates: Vec<Candidate>,
        idle: &impl Fn(MemberId) -> Idle,
    ) -> Option<Duration> {
        let mut missing = self.shortage();
        let mut surplus = self.surplus();
        let mut covered = (self.sums.lacking - missing).max(0);
        let mut claims = self.claims_to_meet(covered, candidates.len());
        for _ in 0..EVICTIONS_AT_ONCE_MAX {
            if missing <= 0 || candidates.is_empty() {
                return None;
            }
            let chosen = if surplus > 0 {
                surplus -= 1;
                self.fullest(&candidates).map(|index| (index, Reason::Limit))
            } else {
                while covered > 0 && claims.pop_and_serve(self).is_some() {
                    covered -= 1;
                }
                let claim = claims.pop_and_serve(self)?;
                match self.victim(&claim, now, &candidates) {
                    Ok(chosen) => Some(chosen),
                    Err(next_look) => return next_look,
                }
            };
            let (index, reason) = chosen?;
            missing -= 1;
            let group = take_from(&mut candidates, index);
            if let Some(member) = self.groups.get(&group).and_then(|group| group.idlest(idle)) {
                self.tell_to_evict(member, reason);
            }
        }
        Some(now + LOOK_INTERVAL)
    }

    /// Whose idle connection goes for this claim. An error is when one may go, if that is only a matter of time.
    fn victim(
        &self,
        claim: &Claim,
        now: Duration,
        candidates: &[Candidate],
    ) -> Result<(usize, Reason), Option<Duration>> {
        let Some(claimant) = self.groups.get(&claim.id) else { return Err(None) };
        let is_above = |candidate: &Candidate| {
            claim.rank.0.is_below_floor()
                || self.level_of(candidate, 1) >= claimant.level_with(claim.kept + 1)
        };
        let others = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.id != claim.id);
        let fullest = others()
            .filter(|(_, candidate)| is_above(candidate))
            .max_by_key(|(_, candidate)| (self.level_of(candidate, 0), Reverse(candidate.since)));
        if let Some((index, _)) = fullest {
            return Ok((index, Reason::Share));
        }
        let due = |candidate: &Candidate| {
            let is_richer = claimant.level_with(claim.kept) > self.level_of(candidate, 1);
            candidate.since + if is_richer { IDLE_BEFORE_TAKEN_BY_RICHER } else { IDLE_BEFORE_TAKEN }
        };
        let unused = others().filter(|(_, candidate)| due(candidate) <= now);
        match unused.min_by_key(|(_, candidate)| candidate.since) {
            Some((index, _)) => Ok((index, Reason::Turn)),
            None => Err(others().map(|(_, candidate)| due(candidate)).min()),
        }
    }

    fn fullest(&self, candidates: &[Candidate]) -> Option<usize> {
        let key = |candidate: &Candidate| (self.level_of(candidate, 0), Reverse(candidate.since));
        (0..candidates.len()).max_by_key(|index| key(&candidates[*index]))
    }

    /// How much a candidate's group has for its weight once it has given so many up.
    fn level_of(&self, candidate: &Candidate, given: u32) -> u64 {
        let group = self.groups.get(&candidate.id);
        group.map_or(0, |group| group.level_with(candidate.kept.saturating_sub(given)))
    }

    /// The first claims, as many as are covered or may find a victim.
    fn claims_to_meet(&self, covered: i64, candidates: usize) -> Claims {
        let enough = usize::try_from(covered).unwrap_or(usize::MAX).saturating_add(candidates);
        let claim = |(order, (id, place)): (usize, (GroupId, Place<Rank>))| {
            let group = self.groups.get(&id)?;
            Some(Claim {
                rank: Reverse(place.rank()),
                order: Reverse(order),
                id,
                kept: group.counts.kept(),
                lacking: group.lacking(),
            })
        };
        Claims(self.claims.iter().take(enough).enumerate().filter_map(claim).collect())
    }
}

/// One idle connection less.
fn take_from(candidates: &mut Vec<Candidate>, index: usize) -> GroupId {
    let candidate = &mut candidates[index];
    let id = candidate.id;
    candidate.idle -= 1;
    candidate.spare -= 1;
    candidate.kept -= 1;
    if candidate.idle == 0 || candidate.spare == 0 {
        candidates.swap_remove(index);
    }
    id
}

/// Claims in the order in which they would be served, as far as that can be foreseen.
struct Claims(BinaryHeap<Claim>);

impl Claims {
    /// The next claim. What it asks for beyond one permit takes its place behind.
    fn pop_and_serve(&mut self, allocator: &Allocator) -> Option<Claim> {
        let claim = self.0.pop()?;
        if claim.lacking > 1
            && let Some(group) = allocator.groups.get(&claim.id)
        {
            let kept = claim.kept + 1;
            let rank = Reverse(group.rank_with(kept, &allocator.floors));
            self.0.push(Claim { rank, order: claim.order, id: claim.id, kept, lacking: claim.lacking - 1 });
        }
        Some(claim)
    }
}

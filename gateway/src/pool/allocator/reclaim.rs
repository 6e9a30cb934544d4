//! Who gives a connection up while others lack one.
//!
//! - A member is above its share beside another if it would still have no less for its weight after it had given
//!   one to it; above its floor, beside one that is below its own. It gives up idle connections at once, the one that
//!   has most first, and leased ones when their transactions end.
//! - If nobody is, turns are taken: a connection goes when its turn is over and others' come first, or when it has
//!   been idle for a moment. Opening one costs some milliseconds, so that shorter turns would spend the server on logins.
//! - No member gives up what is below its floor.

use super::member::{Member, Rank};
use super::{Action, Allocator, MemberId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// How long a connection serves its own pool before it makes room for others who are as entitled.
pub const TURN: Duration = Duration::from_millis(50);

/// A connection is not taken from a pool that is not above its share as long as it was used this recently: its client
/// is likely to come back at once, and closing and opening would cost both more than waiting costs one.
pub const IDLE_BEFORE_TAKEN: Duration = Duration::from_millis(5);

/// It is not taken so soon for a pool that has more already.
const IDLE_BEFORE_TAKEN_BY_RICHER: Duration = Duration::from_millis(500);

/// Connections that are closed at one look. The next is due as soon as the first is closed, and logins that come all
/// at once take longer.
const EVICTIONS_AT_ONCE_MAX: usize = 64;

/// Looking at so many members takes time.
const HOLDERS_LOOKED_AT_ANY_TIME: usize = 256;

/// So they are not looked at more often than this.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What a member has idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Idle {
    /// Connections.
    pub count: u32,
    /// Since when the one is idle that has been for longest, on the clock of [`Allocator::settle`].
    pub since: Duration,
}

/// Why a connection was given up for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its pool had more than its share.
    Share,
    /// It was others' turn.
    Turn,
    /// The budget has shrunk.
    Limit,
}

impl Reason {
    /// Every reason, for the metrics.
    pub const ALL: [Self; 3] = [Self::Share, Self::Turn, Self::Limit];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Turn => "turn",
            Self::Limit => "limit",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Share => 0,
            Self::Turn => 1,
            Self::Limit => 2,
        }
    }
}

/// What becomes of a connection that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Its pool keeps it.
    Keep,
    /// Its pool keeps it for another turn.
    NextTurn,
    /// It is to be closed. It counts as being closed already.
    Close,
}

/// What was given up so far, and when that was last looked into.
#[derive(Debug, Default)]
pub(super) struct Reclaims {
    pub(super) evicted: [u64; Reason::ALL.len()],
    pub(super) yielded: [u64; Reason::ALL.len()],
    looked: Option<Duration>,
}

/// An idle connection that could be closed, or several of one member.
struct Candidate {
    id: MemberId,
    since: Duration,
    idle: u32,
    /// What the member has beyond its floor.
    spare: u32,
    kept: u32,
}

/// Somebody who lacks something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    rank: Reverse<Rank>,
    order: Reverse<usize>,
    id: MemberId,
    kept: u32,
    lacking: u32,
}

impl Allocator {
    /// Grants what is free, and has others give up what is lacking. `idle` is asked what a member has idle. Returns
    /// when to call again even if nothing happens until then. `now` counts from any instant, always the same.
    pub fn settle(&mut self, now: Duration, idle: impl Fn(MemberId) -> Idle) -> Option<Duration> {
        self.grant();
        if self.shortage() <= 0 {
            return None;
        }
        self.ask_for_leased();
        if let Some(looked) = self.reclaims.looked
            && self.holders.len() > HOLDERS_LOOKED_AT_ANY_TIME
            && now < looked + LOOK_INTERVAL
        {
            return Some(looked + LOOK_INTERVAL);
        }
        self.reclaims.looked = Some(now);
        let candidates = self.candidates(idle);
        if candidates.is_empty() { None } else { self.evict(now, candidates) }
    }

    /// Does anybody lack a connection that is neither free nor on its way?
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.shortage() > 0
    }

    /// A connection is given back. `turn_is_over`: it has served its pool for [`TURN`] or longer.
    pub fn release(&mut self, id: MemberId, turn_is_over: bool) -> Release {
        let shortage = self.shortage();
        let Some(member) = self.members.get(&id) else { return Release::Keep };
        if shortage <= 0 || member.spare(&self.floors) == 0 {
            return self.keep(id);
        }
        let reason = match self.claims.first() {
            _ if self.surplus() > 0 => Reason::Limit,
            None => return self.keep(id),
            Some((claimant, _)) if self.is_above(member, claimant, 0) => Reason::Share,
            Some(_) if !turn_is_over => return self.keep(id),
            Some(_) if self.claims.would_be_first(member.rank_of_last(&self.floors), member.turn) => {
                let turn = self.claims.serve_again(member.turn, member.terms.weight());
                self.edit(id, |member| member.turn = turn);
                return Release::NextTurn;
            }
            Some(_) => Reason::Turn,
        };
        self.reclaims.yielded[reason.index()] += 1;
        self.closing(id);
        Release::Close
    }

    /// The member was told to close an idle connection, and did or had none. If it did, that counts as being closed
    /// already.
    pub fn evicted(&mut self, id: MemberId, closed: bool) {
        self.edit(id, |member| {
            member.evicting = member.evicting.saturating_sub(1);
            if closed {
                member.going += 1;
            }
        });
    }

    /// Idle connections that members were told to close, by reason.
    #[must_use]
    pub fn evictions(&self) -> [u64; Reason::ALL.len()] {
        self.reclaims.evicted
    }

    /// Leased connections that were closed when they were given back, by reason.
    #[must_use]
    pub fn yields(&self) -> [u64; Reason::ALL.len()] {
        self.reclaims.yielded
    }

    /// Permits that are out and have no place in the limit, beyond those on their way back.
    fn surplus(&self) -> i64 {
        (self.sums.held - self.sums.coming - i64::from(self.limit)).max(0)
    }

    /// What is on its way or free, and not kept for floors of others. Less than nothing: floors come first.
    fn at_hand(&self) -> i64 {
        self.free() + self.sums.coming - (self.missing_of_floors() - self.sums.floors_lacking)
    }

    /// Connections that others have to give up.
    fn shortage(&self) -> i64 {
        match self.sums.lacking {
            0 => self.surplus(),
            lacking => (lacking - self.at_hand()).max(self.surplus()),
        }
    }

    /// Would the member still have no less for its weight than the other, `ahead` of whose claims are met, after it
    /// had given one to it?
    fn is_above(&self, member: &Member, claimant: MemberId, ahead: u32) -> bool {
        let Some(claimant) = self.members.get(&claimant) else { return false };
        if claimant.rank(&self.floors).is_below_floor() {
            return true;
        }
        let after = member.level_with(member.kept().saturating_sub(1));
        after >= claimant.level_with(claimant.kept() + ahead + 1)
    }

    fn keep(&mut self, id: MemberId) -> Release {
        if let Some(member) = self.members.get_mut(&id) {
            member.is_asked = false;
        }
        Release::Keep
    }

    /// Tells as many members above their share as it takes to ask about what is given back to them.
    fn ask_for_leased(&mut self) {
        let mut missing = self.shortage();
        let claimant = self.claims.first().map(|(id, _)| id);
        let is_surplus = self.surplus() > 0;
        let mut asked = Vec::new();
        for (_, id) in &self.holders {
            let Some(member) = self.members.get(id) else { continue };
            let is_above =
                is_surplus || claimant.is_some_and(|claimant| self.is_above(member, claimant, 0));
            if missing <= 0 || !is_above {
                break;
            }
            let leased = member.spare(&self.floors).min(member.kept().saturating_sub(member.long));
            missing -= i64::from(leased);
            if leased > 0 && !member.is_asked {
                asked.push(*id);
            }
        }
        for id in asked {
            if let Some(member) = self.members.get_mut(&id) {
                member.is_asked = true;
            }
            self.actions.push_back(Action::Yield(id));
        }
    }

    fn candidates(&self, idle: impl Fn(MemberId) -> Idle) -> Vec<Candidate> {
        let of_member = |id: MemberId| {
            let member = self.members.get(&id)?;
            let idle = idle(id);
            let spare = member.spare(&self.floors);
            let candidate = Candidate {
                id,
                since: idle.since,
                idle: idle.count.saturating_sub(member.evicting),
                spare,
                kept: member.kept(),
            };
            (candidate.idle > 0 && spare > 0).then_some(candidate)
        };
        self.holders.iter().filter_map(|(_, id)| of_member(*id)).collect()
    }

    /// Closes idle connections for those who lack some, in the order in which they are served. Returns when one more
    /// may be closed, if that is only a matter of time.
    fn evict(&mut self, now: Duration, mut candidates: Vec<Candidate>) -> Option<Duration> {
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
            self.tell_to_evict(&mut candidates, index, reason);
        }
        Some(now + LOOK_INTERVAL)
    }

    fn tell_to_evict(&mut self, candidates: &mut Vec<Candidate>, index: usize, reason: Reason) {
        let candidate = &mut candidates[index];
        let id = candidate.id;
        candidate.idle -= 1;
        candidate.spare -= 1;
        candidate.kept -= 1;
        if candidate.idle == 0 || candidate.spare == 0 {
            candidates.swap_remove(index);
        }
        self.edit(id, |member| member.evicting += 1);
        self.reclaims.evicted[reason.index()] += 1;
        self.actions.push_back(Action::Evict(id));
    }

    /// Whose idle connection goes for this claim. An error is when one may go, if that is only a matter of time.
    fn victim(
        &self,
        claim: &Claim,
        now: Duration,
        candidates: &[Candidate],
    ) -> Result<(usize, Reason), Option<Duration>> {
        let Some(claimant) = self.members.get(&claim.id) else { return Err(None) };
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

    /// How much a candidate's member has for its weight once it has given so many up.
    fn level_of(&self, candidate: &Candidate, given: u32) -> u64 {
        let member = self.members.get(&candidate.id);
        member.map_or(0, |member| member.level_with(candidate.kept.saturating_sub(given)))
    }

    /// The first claims, as many as are covered or may find a victim.
    fn claims_to_meet(&self, covered: i64, candidates: usize) -> Claims {
        let enough = usize::try_from(covered).unwrap_or(usize::MAX).saturating_add(candidates);
        let claim = |(order, (id, place)): (usize, (MemberId, super::super::fair_queue::Place<Rank>))| {
            let member = self.members.get(&id)?;
            Some(Claim {
                rank: Reverse(place.rank()),
                order: Reverse(order),
                id,
                kept: member.kept(),
                lacking: member.lacking(),
            })
        };
        Claims(self.claims.iter().take(enough).enumerate().filter_map(claim).collect())
    }
}

/// Claims in the order in which they would be served, as far as that can be foreseen.
struct Claims(BinaryHeap<Claim>);

impl Claims {
    /// The next claim. What it asks for beyond one permit takes its place behind.
    fn pop_and_serve(&mut self, allocator: &Allocator) -> Option<Claim> {
        let claim = self.0.pop()?;
        if claim.lacking > 1
            && let Some(member) = allocator.members.get(&claim.id)
        {
            let kept = claim.kept + 1;
            let rank = Reverse(member.rank_with(kept, &allocator.floors));
            self.0.push(Claim { rank, order: claim.order, id: claim.id, kept, lacking: claim.lacking - 1 });
        }
        Some(claim)
    }
}

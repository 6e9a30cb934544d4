//! Who gives a connection up while others lack one.
//!
//! - A group is above its share beside another if it would still have no less for its weight after it had given
//!   one to it; above its floor, beside one that is below its own. It gives up idle connections at once, the one that
//!   has most first, and leased ones when their transactions end.
//! - If nobody is, turns are taken: a connection goes when its turn is over and others' come first, or when it has
//!   been idle for a moment. Opening one costs some milliseconds, so that shorter turns would spend the server on logins.
//! - No group gives up what is below its floor.

mod evict;

use super::group::{Group, GroupId};
use super::{Action, Allocator, MemberId};
use std::time::Duration;

/// How long a connection serves its own pool before it makes room for others who are as entitled.
pub const TURN: Duration = Duration::from_millis(50);

/// A connection is not taken from a pool that is not above its share as long as it was used this recently: its client
/// is likely to come back at once, and closing and opening would cost both more than waiting costs one.
pub const IDLE_BEFORE_TAKEN: Duration = Duration::from_millis(5);

/// It is not taken so soon for a pool that has more already.
pub(super) const IDLE_BEFORE_TAKEN_BY_RICHER: Duration = Duration::from_millis(500);

/// Looking at so many groups takes time.
pub(super) const LOOKED_AT_ANY_TIME: usize = 256;

/// So they are not looked at more often than this.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Connections that are closed at one look. The next is due as soon as the first is closed, and logins that come all
/// at once take longer.
pub(super) const EVICTIONS_AT_ONCE_MAX: usize = 64;

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
    /// The budget has shrunk, or what its tenant may have of it.
    Limit,
    /// Another pool of its tenant's lacked one.
    Sibling,
}

impl Reason {
    /// Every reason, for the metrics.
    pub const ALL: [Self; 4] = [Self::Share, Self::Turn, Self::Limit, Self::Sibling];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Turn => "turn",
            Self::Limit => "limit",
            Self::Sibling => "sibling",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Share => 0,
            Self::Turn => 1,
            Self::Limit => 2,
            Self::Sibling => 3,
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
    /// The same for what members of one group have.
    pub(super) looked_inside: Option<Duration>,
}

/// What becomes of a connection that is given back, as far as other groups are concerned.
enum Outside {
    Keep,
    NextTurn,
    Close(Reason),
}

impl Allocator {
    /// Grants what is free, and has others give up what is lacking. `idle` is asked what a member has idle. Returns
    /// when to call again even if nothing happens until then. `now` counts from any instant, always the same.
    pub fn settle(&mut self, now: Duration, idle: impl Fn(MemberId) -> Idle) -> Option<Duration> {
        self.grant();
        let inside = self.settle_crowded(now, &idle);
        let outside = self.settle_shortage(now, &idle);
        inside.into_iter().chain(outside).min()
    }

    fn settle_shortage(&mut self, now: Duration, idle: &impl Fn(MemberId) -> Idle) -> Option<Duration> {
        if self.shortage() <= 0 {
            return None;
        }
        self.ask_for_leased();
        if let Some(looked) = self.reclaims.looked
            && self.holders.len() > LOOKED_AT_ANY_TIME
            && now < looked + LOOK_INTERVAL
        {
            return Some(looked + LOOK_INTERVAL);
        }
        self.reclaims.looked = Some(now);
        let candidates = self.candidates(idle);
        if candidates.is_empty() { None } else { self.evict(now, candidates, idle) }
    }

    /// Does anybody lack a connection that is neither free nor on its way?
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.shortage() > 0
    }

    /// A connection is given back. `turn_is_over`: it has served its pool for [`TURN`] or longer.
    pub fn release(&mut self, id: MemberId, turn_is_over: bool) -> Release {
        let Some((group_id, group)) = self.group_of(id) else { return Release::Keep };
        let outside = match self.release_outside(group, turn_is_over) {
            _ if group.excess() > 0 => Outside::Close(Reason::Limit),
            Outside::Keep | Outside::NextTurn if self.is_given_inside(group, id, turn_is_over) => {
                Outside::Close(Reason::Sibling)
            }
            outside => outside,
        };
        match outside {
            Outside::Close(reason) => {
                self.reclaims.yielded[reason.index()] += 1;
                self.closing(id);
                Release::Close
            }
            Outside::NextTurn => {
                let turn = self.claims.serve_again(group.turn, group.terms.weight());
                self.edit(group_id, |group| group.turn = turn);
                Release::NextTurn
            }
            Outside::Keep => self.keep(id),
        }
    }

    fn release_outside(&self, group: &Group, turn_is_over: bool) -> Outside {
        if self.shortage() <= 0 || group.spare(&self.floors) == 0 {
            return Outside::Keep;
        }
        match self.claims.first() {
            _ if self.surplus() > 0 => Outside::Close(Reason::Limit),
            None => Outside::Keep,
            Some((claimant, _)) if self.is_above(group, claimant, 0) => Outside::Close(Reason::Share),
            Some(_) if !turn_is_over => Outside::Keep,
            Some(_) if self.claims.would_be_first(group.rank_of_last(&self.floors), group.turn) => {
                Outside::NextTurn
            }
            Some(_) => Outside::Close(Reason::Turn),
        }
    }

    /// The member was told to close an idle connection, and did or had none. If it did, that counts as being closed
    /// already.
    pub fn evicted(&mut self, id: MemberId, closed: bool) {
        self.edit_member(id, |member| {
            member.counts.evicting = member.counts.evicting.saturating_sub(1);
            if closed {
                member.counts.going += 1;
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
        (self.sums.held - self.sums.coming - self.bound()).max(0)
    }

    /// What is on its way or free, and not kept for floors of others. Less than nothing: floors come first.
    fn at_hand(&self) -> i64 {
        self.free() + self.sums.coming - (self.missing_of_floors() - self.sums.floors_lacking).max(0)
    }

    /// Connections that others have to give up.
    pub(super) fn shortage(&self) -> i64 {
        match self.sums.lacking {
            0 => self.surplus(),
            lacking => (lacking - self.at_hand()).max(self.surplus()),
        }
    }

    /// Would the group still have no less for its weight than the other, `ahead` of whose claims are met, after it
    /// had given one to it?
    fn is_above(&self, group: &Group, claimant: GroupId, ahead: u32) -> bool {
        let Some(claimant) = self.groups.get(&claimant) else { return false };
        if claimant.rank(&self.floors).is_below_floor() {
            return true;
        }
        let after = group.level_with(group.counts.kept().saturating_sub(1));
        after >= claimant.level_with(claimant.counts.kept() + ahead + 1)
    }

    fn keep(&mut self, id: MemberId) -> Release {
        self.edit_member(id, |member| member.is_asked = false);
        Release::Keep
    }

    /// The member is to close an idle connection.
    pub(super) fn tell_to_evict(&mut self, id: MemberId, reason: Reason) {
        self.edit_member(id, |member| member.counts.evicting += 1);
        self.reclaims.evicted[reason.index()] += 1;
        self.actions.push_back(Action::Evict(id));
    }

    /// Tells as many groups above their share as it takes to ask about what is given back to them.
    fn ask_for_leased(&mut self) {
        let mut missing = self.shortage();
        let claimant = self.claims.first().map(|(id, _)| id);
        let is_surplus = self.surplus() > 0;
        let mut asked = Vec::new();
        for (_, id) in &self.holders {
            let Some(group) = self.groups.get(id) else { continue };
            let is_above = is_surplus || claimant.is_some_and(|claimant| self.is_above(group, claimant, 0));
            if missing <= 0 || !is_above {
                break;
            }
            let leased = group.spare(&self.floors).min(group.counts.can_be_had());
            missing -= i64::from(leased);
            if leased > 0 && group.members.iter().any(|member| !member.is_asked) {
                asked.push(*id);
            }
        }
        asked.into_iter().for_each(|id| self.ask_group(id));
    }
}

//! Who gives a connection up while others lack one.
//!
//! - A member is above its share beside another if it would still have no less for its weight after it had given
//!   one to it; above its floor, beside one that is below its own. It gives up idle connections at once, the one that
//!   has most first, and leased ones when their transactions end.
//! - If nobody is, turns are taken: a connection goes when its turn is over and others' come first, or when it has
//!   been idle for a moment. Opening one costs some milliseconds, so that shorter turns would spend the server on logins.
//! - No member gives up what is below its floor.

mod evict;

use super::member::Member;
use super::{Action, Allocator, MemberId};
use std::time::Duration;

/// How long a connection serves its own pool before it makes room for others who are as entitled.
pub const TURN: Duration = Duration::from_millis(50);

/// A connection is not taken from a pool that is not above its share as long as it was used this recently: its client
/// is likely to come back at once, and closing and opening would cost both more than waiting costs one.
pub const IDLE_BEFORE_TAKEN: Duration = Duration::from_millis(5);

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
        (self.sums.held - self.sums.coming - self.bound()).max(0)
    }

    /// What is on its way or free, and not kept for floors of others. Less than nothing: floors come first.
    fn at_hand(&self) -> i64 {
        self.free() + self.sums.coming - (self.missing_of_floors() - self.sums.floors_lacking).max(0)
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
            let is_above = is_surplus || claimant.is_some_and(|claimant| self.is_above(member, claimant, 0));
            if missing <= 0 || !is_above {
                break;
            }
            let leased =
                member.spare(&self.floors).min(member.kept().saturating_sub(member.long + member.stuck));
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
}

//! One pool as the allocator sees it.

use super::floors::Floors;
use crate::pool::fair_queue::{FairQueue, Place, Turn};
use std::cmp::Reverse;

/// Levels are whole numbers: a connection of a member of weight 1 is this high.
const HEIGHT: u64 = 1 << 24;

/// A member's number, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u64);

impl MemberId {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What a member may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Connections kept for it.
    pub floor: u32,
    /// What is due to it beside others.
    pub weight: u32,
    /// The most that it may have.
    pub cap: u32,
}

impl Terms {
    /// The floor that counts: nothing is kept for a member that it may not have.
    #[must_use]
    pub fn floor(&self) -> u32 {
        self.floor.min(self.cap)
    }

    /// The weight that counts.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.max(1)
    }
}

/// What becomes of a permit that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Its connection is open, or being opened.
    #[default]
    Open,
    /// Its connection is being closed: it is on its way back.
    Closing,
    /// Its connection never became one. It is on its way back, and nothing is held against its member for it: a
    /// server that answers nobody would keep members from trying again.
    BrokenOff,
    /// Its connection was closed and the server does not let go of it. When it comes back nobody knows, so it counts
    /// as one that is open.
    Stuck,
}

/// In which order members are served: below their floor before all others, then by how much they have for their
/// weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_at_floor: bool,
    pub(super) level: u64,
}

impl Rank {
    pub(super) fn is_below_floor(self) -> bool {
        !self.is_at_floor
    }
}

/// A member's part in what all add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// Permits out.
    pub(super) held: i64,
    /// Of these, on their way back.
    pub(super) coming: i64,
    /// Of these, not to be had back before the server lets go.
    pub(super) stuck: i64,
    /// Permits that would be taken now.
    pub(super) lacking: i64,
    /// Of the floor, what is held.
    pub(super) floors_held: i64,
    /// Of what is missing of the floor, what is lacking.
    pub(super) floors_lacking: i64,
    /// The weight, if it holds or wants anything.
    pub(super) weight: i64,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) terms: Terms,
    /// It wants nothing any more, and is forgotten when it holds nothing.
    pub(super) has_left: bool,
    /// Permits out.
    pub(super) held: u32,
    /// Of these, granted and not noticed yet.
    pub(super) pending: u32,
    /// Of these, of connections that are being closed.
    pub(super) going: u32,
    /// Of these again, of logins that came to nothing.
    broken_off: u32,
    /// Of those held, of connections that were closed and that the server does not let go of.
    pub(super) stuck: u32,
    /// Of these, of idle connections that it was told to close and has not answered for.
    pub(super) evicting: u32,
    /// Of these, kept for longer than a transaction.
    pub(super) long: u32,
    /// What it would take beyond what it has noticed.
    pub(super) wanted: u32,
    /// It was told to ask about every connection that is given back.
    pub(super) is_asked: bool,
    pub(super) turn: Turn,
    pub(super) share: Share,
    /// Its place among those who lack something.
    pub(super) place: Option<Place<Rank>>,
    /// Its turn when it took that place.
    waits_with: Turn,
    /// As what it is listed among those who hold something.
    pub(super) listed: Option<Reverse<u64>>,
}

impl Member {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            has_left: false,
            held: 0,
            pending: 0,
            going: 0,
            broken_off: 0,
            stuck: 0,
            evicting: 0,
            long: 0,
            wanted: 0,
            is_asked: false,
            turn: Turn::default(),
            share: Share::default(),
            place: None,
            waits_with: Turn::default(),
            listed: None,
        }
    }

    /// What it holds and does not give up.
    pub(super) fn kept(&self) -> u32 {
        self.held.saturating_sub(self.going + self.evicting)
    }

    /// What it would take now. As many as its cap allows may be ending besides: so a connection that a server does
    /// not let go of is not missed, and work that heeds no cancel does not pile up.
    pub(super) fn lacking(&self) -> u32 {
        let open = self.held.saturating_sub(self.going + self.stuck);
        let with_ending = self.held.saturating_sub(self.broken_off);
        let room = self.terms.cap.saturating_sub(open);
        let room = room.min(self.terms.cap.saturating_mul(2).saturating_sub(with_ending));
        self.wanted.saturating_sub(self.pending).min(room)
    }

    /// One of its permits passes from one phase to the next.
    pub(super) fn passes(&mut self, from: Phase, to: Phase) {
        for count in self.counts_of(from).into_iter().flatten() {
            *count = count.saturating_sub(1);
        }
        for count in self.counts_of(to).into_iter().flatten() {
            *count += 1;
        }
    }

    fn counts_of(&mut self, phase: Phase) -> [Option<&mut u32>; 2] {
        match phase {
            Phase::Open => [None, None],
            Phase::Closing => [Some(&mut self.going), None],
            Phase::BrokenOff => [Some(&mut self.going), Some(&mut self.broken_off)],
            Phase::Stuck => [Some(&mut self.stuck), None],
        }
    }

    /// How much it has for its weight.
    pub(super) fn level(&self) -> u64 {
        self.level_with(self.kept())
    }

    /// How much it would have for its weight with so many. Those that clients keep do not count, on either side: they
    /// serve nobody else and cannot be given up, so that a pool that has no others lacks one as much as one that has
    /// none, and has no more to spare.
    pub(super) fn level_with(&self, kept: u32) -> u64 {
        u64::from(kept.saturating_sub(self.long)) * HEIGHT / u64::from(self.terms.weight())
    }

    /// How it is served.
    pub(super) fn rank(&self, floors: &Floors) -> Rank {
        Rank { is_at_floor: self.held >= floors.of(self.terms.floor()), level: self.level() }
    }

    /// How it would be served if it had so many.
    pub(super) fn rank_with(&self, kept: u32, floors: &Floors) -> Rank {
        Rank { is_at_floor: kept >= floors.of(self.terms.floor()), level: self.level_with(kept) }
    }

    /// How it would be served if it had one less and wanted that back.
    pub(super) fn rank_of_last(&self, floors: &Floors) -> Rank {
        self.rank_with(self.kept().saturating_sub(1), floors)
    }

    /// Connections that others may ask it to give up.
    pub(super) fn spare(&self, floors: &Floors) -> u32 {
        self.kept().saturating_sub(floors.of(self.terms.floor()))
    }

    pub(super) fn share_of(&self, floors: &Floors) -> Share {
        let floor = floors.of(self.terms.floor());
        let missing = floor.saturating_sub(self.held);
        Share {
            held: self.held.into(),
            coming: (self.going + self.evicting).into(),
            stuck: self.stuck.into(),
            lacking: self.lacking().into(),
            floors_held: self.held.min(floor).into(),
            floors_lacking: self.lacking().min(missing).into(),
            weight: if self.held > 0 || self.lacking() > 0 { self.terms.weight().into() } else { 0 },
        }
    }

    /// Has it wait in this rank, or no longer. Whoever had a turn meanwhile goes behind those who had none. `was_busy`:
    /// it held something until now.
    pub(super) fn wait(
        &mut self,
        id: MemberId,
        rank: Option<Rank>,
        was_busy: bool,
        claims: &mut FairQueue<MemberId, Rank>,
    ) {
        self.place = match (self.place, rank) {
            (Some(place), Some(rank)) if self.waits_with == self.turn => Some(claims.rerank(id, place, rank)),
            (old, rank) => {
                if let Some(old) = old {
                    claims.leave(id, old);
                }
                self.waits_with = self.turn;
                rank.map(|rank| claims.enter(id, rank, self.turn, was_busy || self.held > 0))
            }
        };
    }
}

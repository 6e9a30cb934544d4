//! The pools of one tenant together. They have one floor, one weight and one cap, and stand as one beside others.

use super::floors::Floors;
use super::member::{Counts, Member, MemberId};
use crate::pool::fair_queue::{FairQueue, Place, Turn};
use crate::pool::siblings::Siblings;
use std::cmp::Reverse;
use std::sync::Arc;
use tenancy::TenantId;

/// Levels are whole numbers: a connection of a group of weight 1 is this high.
const HEIGHT: u64 = 1 << 24;

/// A group's number, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupId(u64);

impl GroupId {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What a group may have.
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
    /// The floor that counts: nothing is kept for a group that it may not have.
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

/// In which order groups are served: below their floor before all others, then by how much they have for their
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

/// A group's part in what all add up to.
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

impl Share {
    pub(super) fn replace(&mut self, old: Self, new: Self) {
        self.held += new.held - old.held;
        self.coming += new.coming - old.coming;
        self.stuck += new.stuck - old.stuck;
        self.lacking += new.lacking - old.lacking;
        self.floors_held += new.floors_held - old.floors_held;
        self.floors_lacking += new.floors_lacking - old.floors_lacking;
        self.weight += new.weight - old.weight;
    }
}

#[derive(Debug)]
pub(super) struct Group {
    /// None: a pool that has left, by itself, until it holds nothing.
    pub(super) tenant: Option<TenantId>,
    pub(super) terms: Terms,
    /// One for each of the tenant's login roles that somebody uses.
    pub(super) members: Vec<Member>,
    /// What they hold together.
    pub(super) counts: Counts,
    /// What they would take beyond what they were granted, together.
    pub(super) unmet: u32,
    pub(super) turn: Turn,
    pub(super) share: Share,
    /// Its place among those who lack something.
    pub(super) place: Option<Place<Rank>>,
    /// Its turn when it took that place.
    waits_with: Turn,
    /// As what it is listed among those who hold something.
    pub(super) listed: Option<Reverse<u64>>,
    pub(super) siblings: Arc<Siblings>,
}

impl Group {
    pub(super) fn new(tenant: Option<TenantId>, terms: Terms) -> Self {
        Self {
            tenant,
            terms,
            members: Vec::new(),
            counts: Counts::default(),
            unmet: 0,
            turn: Turn::default(),
            share: Share::default(),
            place: None,
            waits_with: Turn::default(),
            listed: None,
            siblings: Arc::default(),
        }
    }

    pub(super) fn has_left(&self) -> bool {
        self.tenant.is_none()
    }

    pub(super) fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub(super) fn member_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Adds up what its pools hold and want.
    pub(super) fn add_up(&mut self) {
        (self.counts, self.unmet) = (Counts::default(), 0);
        for member in &self.members {
            self.counts += member.counts;
            self.unmet += member.unmet();
        }
    }

    /// What it would take now. As many as its cap allows may be ending besides: so a connection that a server does
    /// not let go of is not missed, and work that heeds no cancel does not pile up.
    pub(super) fn lacking(&self) -> u32 {
        self.unmet.min(self.room()).min(self.room_with_ending())
    }

    /// Connections that may be opened before it has as many as it may.
    pub(super) fn room(&self) -> u32 {
        self.terms.cap.saturating_sub(self.counts.open())
    }

    /// Connections that may be opened before it has as many as it may, with those that are ending.
    pub(super) fn room_with_ending(&self) -> u32 {
        self.terms.cap.saturating_mul(2).saturating_sub(self.counts.with_ending())
    }

    /// How much it has for its weight.
    pub(super) fn level(&self) -> u64 {
        self.level_with(self.counts.kept())
    }

    /// How much it would have for its weight with so many. Those that clients keep do not count, on either side: they
    /// serve nobody else and cannot be given up, so that a group that has no others lacks one as much as one that has
    /// none, and has no more to spare.
    pub(super) fn level_with(&self, kept: u32) -> u64 {
        u64::from(kept.saturating_sub(self.counts.long)) * HEIGHT / u64::from(self.terms.weight())
    }

    /// How it is served.
    pub(super) fn rank(&self, floors: &Floors) -> Rank {
        Rank { is_at_floor: self.counts.held >= floors.of(self.terms.floor()), level: self.level() }
    }

    /// How it would be served if it had so many.
    pub(super) fn rank_with(&self, kept: u32, floors: &Floors) -> Rank {
        Rank { is_at_floor: kept >= floors.of(self.terms.floor()), level: self.level_with(kept) }
    }

    /// How it would be served if it had one less and wanted that back.
    pub(super) fn rank_of_last(&self, floors: &Floors) -> Rank {
        self.rank_with(self.counts.kept().saturating_sub(1), floors)
    }

    /// Connections that others may ask it to give up.
    pub(super) fn spare(&self, floors: &Floors) -> u32 {
        self.counts.kept().saturating_sub(floors.of(self.terms.floor()))
    }

    pub(super) fn share_of(&self, floors: &Floors) -> Share {
        let floor = floors.of(self.terms.floor());
        let (held, lacking) = (self.counts.held, self.lacking());
        let missing = floor.saturating_sub(held);
        Share {
            held: held.into(),
            coming: (self.counts.going + self.counts.evicting).into(),
            stuck: self.counts.stuck.into(),
            lacking: lacking.into(),
            floors_held: held.min(floor).into(),
            floors_lacking: lacking.min(missing).into(),
            weight: if held > 0 || lacking > 0 { self.terms.weight().into() } else { 0 },
        }
    }

    /// Has it wait in this rank, or no longer. Whoever had a turn meanwhile goes behind those who had none. `was_busy`:
    /// it held something until now.
    pub(super) fn wait(
        &mut self,
        id: GroupId,
        rank: Option<Rank>,
        was_busy: bool,
        claims: &mut FairQueue<GroupId, Rank>,
    ) {
        self.place = match (self.place, rank) {
            (Some(place), Some(rank)) if self.waits_with == self.turn => Some(claims.rerank(id, place, rank)),
            (old, rank) => {
                if let Some(old) = old {
                    claims.leave(id, old);
                }
                self.waits_with = self.turn;
                rank.map(|rank| claims.enter(id, rank, self.turn, was_busy || self.counts.held > 0))
            }
        };
    }
}

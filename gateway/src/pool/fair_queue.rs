//! Turns for many who want them, by weight.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, 1996): a turn costs its owner time on a clock of its own, the
//! less the more it weighs, and whoever's turn would start first on that clock is next. One who has waited is never
//! overtaken for long, and one who comes back after a while gets nothing for having been away.
//!
//! Who waits is all that is kept here: an owner's [`Turn`] is the owner's to keep. A rank goes before turns, where
//! some are to be served before others whatever they weigh.
//!
//! Pure: no clock of the world's, no locks, nothing that waits.

use std::collections::BTreeSet;

/// What a turn costs an owner of weight 1. Large, so that the costs of large weights are told apart.
const COST: u64 = 1 << 24;

/// A long turn is remembered for about so many.
const FORGETS: u64 = 256;

/// Up to when an owner has had its turns. The default is that of somebody who never had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn(u64);

/// Where an owner waits. It is needed to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<R> {
    rank: R,
    start: u64,
    /// Those who would start at once are served in the order in which they came.
    arrived: u64,
}

/// Owners who wait for a turn. `R` is their rank, the least first.
#[derive(Debug)]
pub(super) struct FairQueue<K, R = ()> {
    waiting: BTreeSet<(Place<R>, K)>,
    /// When the turn served last has started.
    clock: u64,
    /// What the longest of the turns served lately took.
    longest: u64,
    arrivals: u64,
}

impl<K, R> Default for FairQueue<K, R> {
    fn default() -> Self {
        Self { waiting: BTreeSet::new(), clock: 0, longest: 0, arrivals: 0 }
    }
}

impl<R: Copy> Place<R> {
    /// The rank in which the owner waits.
    #[must_use]
    pub(super) fn rank(&self) -> R {
        self.rank
    }
}

impl<K: Copy + Ord, R: Copy + Ord> FairQueue<K, R> {
    /// Has the owner wait. It must not wait already. One that is `busy` has not been away since its last turn, and
    /// loses nothing by others' having been served meanwhile.
    pub(super) fn enter(&mut self, owner: K, rank: R, turn: Turn, busy: bool) -> Place<R> {
        self.arrivals += 1;
        let start = if busy { self.next_start(turn) } else { turn.0.max(self.clock) };
        let place = Place { rank, start, arrived: self.arrivals };
        self.waiting.insert((place, owner));
        place
    }

    /// Moves a waiting owner to another rank. It keeps its time of arrival.
    pub(super) fn rerank(&mut self, owner: K, place: Place<R>, rank: R) -> Place<R> {
        let place_now = Place { rank, ..place };
        if place_now != place && self.waiting.remove(&(place, owner)) {
            self.waiting.insert((place_now, owner));
        }
        place_now
    }

    /// The owner no longer waits.
    pub(super) fn leave(&mut self, owner: K, place: Place<R>) {
        self.waiting.remove(&(place, owner));
    }

    /// Who is next.
    #[must_use]
    pub(super) fn first(&self) -> Option<(K, Place<R>)> {
        self.waiting.first().map(|(place, owner)| (*owner, *place))
    }

    /// Would one who has a turn now, and wants the next, come before everybody who waits?
    #[must_use]
    pub(super) fn would_be_first(&self, rank: R, turn: Turn) -> bool {
        let start = self.next_start(turn);
        self.first().is_none_or(|(_, first)| (rank, start) < (first.rank, first.start))
    }

    /// A turn is served to an owner of this weight who waits. What comes back is its turn from now on; if it goes on
    /// waiting it has to leave and enter again with that.
    pub(super) fn serve(&mut self, place: Place<R>, weight: u32) -> Turn {
        self.serve_from(place.start, weight)
    }

    /// The same for one who has a turn now, and gets the next.
    pub(super) fn serve_again(&mut self, turn: Turn, weight: u32) -> Turn {
        self.serve_from(self.next_start(turn), weight)
    }

    fn serve_from(&mut self, start: u64, weight: u32) -> Turn {
        let cost = COST / u64::from(weight.max(1));
        self.longest = cost.max(self.longest - self.longest / FORGETS);
        self.clock = self.clock.max(start);
        Turn(start.saturating_add(cost))
    }

    /// When the next turn of one who was not away starts. The clock runs ahead of it by a turn at most, the longest.
    fn next_start(&self, turn: Turn) -> u64 {
        turn.0.max(self.clock.saturating_sub(self.longest))
    }

    /// All who wait, the next one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Place<R>)> {
        self.waiting.iter().map(|(place, owner)| (*owner, *place))
    }

    /// How many wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests;

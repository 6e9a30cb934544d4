//! Who waits for a thing that there is too little of: first come, first served for each asker, but for a bounded
//! preference, and by fair turns among askers.
//!
//! So five hundred clients of one user do not keep another user's only client from being served. Pure: what is kept
//! for whoever waits is the caller's matter.

use super::fair_queue::{FairQueue, Place, Turn};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

/// Whoever waits is overtaken by fewer than this many of those who came after, however much those are preferred. So many
/// are looked at.
const OVERTAKERS_MAX: u64 = 64;

/// A place in the queue, needed to leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket<K> {
    asker: K,
    number: u64,
}

/// A queue of `T`s, each of an asker `K`.
#[derive(Debug)]
pub(super) struct Waiters<K, T> {
    askers: HashMap<K, Asker<T>>,
    turns: FairQueue<K>,
    /// Those whose turn came to nothing, through no fault of theirs: they are next.
    again: VecDeque<(u64, T)>,
    numbers: u64,
    count: usize,
}

#[derive(Debug)]
struct Asker<T> {
    waiting: BTreeMap<u64, T>,
    weight: u32,
    place: Place<()>,
}

impl<K, T> Default for Waiters<K, T> {
    fn default() -> Self {
        let turns = FairQueue::default();
        Self { askers: HashMap::new(), turns, again: VecDeque::new(), numbers: 0, count: 0 }
    }
}

impl<K: Copy + Ord + Hash, T> Waiters<K, T> {
    /// Adds one at the end of its asker's line.
    pub(super) fn push(&mut self, asker: K, weight: u32, one: T) -> Ticket<K> {
        self.numbers += 1;
        self.count += 1;
        let turns = &mut self.turns;
        let line = self.askers.entry(asker).or_insert_with(|| Asker {
            waiting: BTreeMap::new(),
            weight,
            place: turns.enter(asker, (), Turn::default(), false),
        });
        line.waiting.insert(self.numbers, one);
        Ticket { asker, number: self.numbers }
    }

    /// Adds one that was taken out in vain: it is next.
    pub(super) fn push_first(&mut self, asker: K, one: T) -> Ticket<K> {
        self.numbers += 1;
        self.count += 1;
        self.again.push_back((self.numbers, one));
        Ticket { asker, number: self.numbers }
    }

    /// The one whose turn it is.
    pub(super) fn peek(&self) -> Option<&T> {
        if let Some((_, one)) = self.again.front() {
            return Some(one);
        }
        let (asker, _) = self.turns.first()?;
        self.askers.get(&asker)?.waiting.values().next()
    }

    /// Takes out the one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.pop_preferring(|_| true, |_| false)
    }

    /// Takes out the one whose turn it is, or, if that is patient, another of the same asker that is preferred and came
    /// soon after.
    pub(super) fn pop_preferring(
        &mut self,
        is_patient: impl Fn(&T) -> bool,
        is_preferred: impl Fn(&T) -> bool,
    ) -> Option<T> {
        if let Some((_, one)) = self.again.pop_front() {
            self.count -= 1;
            return Some(one);
        }
        let (asker, place) = self.turns.first()?;
        let line = self.askers.get_mut(&asker)?;
        let one = line.take_preferring(is_patient, is_preferred)?;
        self.count -= 1;
        let turn = self.turns.serve(place, line.weight);
        self.turns.leave(asker, place);
        if line.waiting.is_empty() {
            self.askers.remove(&asker);
        } else {
            line.place = self.turns.enter(asker, (), turn, true);
        }
        Some(one)
    }

    /// Takes out one that waits no longer. `None`: its turn came before.
    pub(super) fn remove(&mut self, ticket: Ticket<K>) -> Option<T> {
        if let Some(index) = self.again.iter().position(|(number, _)| *number == ticket.number) {
            self.count -= 1;
            return self.again.remove(index).map(|(_, one)| one);
        }
        let line = self.askers.get_mut(&ticket.asker)?;
        let one = line.waiting.remove(&ticket.number)?;
        self.count -= 1;
        if line.waiting.is_empty() {
            self.turns.leave(ticket.asker, line.place);
            self.askers.remove(&ticket.asker);
        }
        Some(one)
    }

    /// Takes those out of an asker's line of whom this is so.
    pub(super) fn take_some(&mut self, asker: K, which: impl Fn(&T) -> bool) -> Vec<T> {
        let Some(line) = self.askers.get_mut(&asker) else { return Vec::new() };
        let taken: Vec<T> = line.waiting.extract_if(.., |_, one| which(one)).map(|(_, one)| one).collect();
        self.count -= taken.len();
        if line.waiting.is_empty() {
            self.turns.leave(asker, line.place);
            self.askers.remove(&asker);
        }
        taken
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Does nobody wait?
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T> Asker<T> {
    /// The first of the line, or a preferred one close behind. Numbers count from the first of the line, so nobody who
    /// came later than that by [`OVERTAKERS_MAX`] overtakes anybody.
    fn take_preferring(
        &mut self,
        is_patient: impl Fn(&T) -> bool,
        is_preferred: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let first = self.waiting.first_entry()?;
        if is_preferred(first.get()) || !is_patient(first.get()) {
            return Some(first.remove());
        }
        let first = *first.key();
        let mut close = self.waiting.range(first..first.saturating_add(OVERTAKERS_MAX));
        let taken = close.find(|(_, one)| is_preferred(one)).map_or(first, |(number, _)| *number);
        self.waiting.remove(&taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_crowd_of_one_asker_does_not_hold_another_up() {
        let mut waiters = Waiters::default();
        for number in 0..500 {
            waiters.push('a', 1, number);
        }
        waiters.push('b', 1, 1_000);
        let first: Vec<i32> = std::iter::from_fn(|| waiters.pop()).take(3).collect();
        assert_eq!(first, [0, 1_000, 1]);
    }

    #[test]
    fn who_was_served_in_vain_is_next() {
        let mut waiters = Waiters::default();
        waiters.push('a', 1, 1);
        waiters.push('a', 1, 2);
        let in_vain = waiters.pop().expect("two wait");
        waiters.push_first('a', in_vain);
        assert_eq!((waiters.peek(), waiters.len()), (Some(&1), 2));
        assert_eq!((waiters.pop(), waiters.pop(), waiters.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn the_preferred_overtake_few() {
        let mut waiters = Waiters::default();
        let odd = |number: &u64| number % 2 == 1;
        for number in 0..4 {
            waiters.push('a', 1, number);
        }
        let first: Vec<u64> = std::iter::from_fn(|| waiters.pop_preferring(|_| true, odd)).collect();
        assert_eq!(first, [1, 3, 0, 2], "who comes to nothing else is served in turn");
        // One that nobody prefers, and always another that is preferred.
        waiters.push('a', 1, 0);
        let mut overtakers = 0;
        loop {
            waiters.push('a', 1, 1);
            match waiters.pop_preferring(|_| true, odd) {
                Some(0) => break,
                _ => overtakers += 1,
            }
        }
        assert_eq!(overtakers, OVERTAKERS_MAX - 1);
    }

    #[test]
    fn who_is_not_patient_is_overtaken_by_nobody() {
        let mut waiters = Waiters::default();
        waiters.push('a', 1, 0);
        waiters.push('a', 1, 1);
        assert_eq!(waiters.pop_preferring(|_| false, |number| *number == 1), Some(0));
    }

    proptest! {
        /// Everybody comes out once, by its turn or by leaving, and an asker's in the order in which they came.
        #[test]
        fn nobody_is_lost_or_served_twice(steps in prop::collection::vec((0_u8..6, 0_u8..4, 0_usize..50), 1..200)) {
            let mut waiters = Waiters::default();
            let mut tickets: Vec<(Ticket<u8>, usize)> = Vec::new();
            let mut last_of = HashMap::new();
            let mut next = 0;
            for (what, asker, which) in steps {
                match what {
                    0..=2 => {
                        next += 1;
                        tickets.push((waiters.push(asker, 1, (asker, next)), next));
                    }
                    3 => {
                        if let Some((asker, one)) = waiters.pop() {
                            prop_assert!(last_of.insert(asker, one) < Some(one));
                            let known = tickets.iter().position(|(_, other)| *other == one);
                            tickets.remove(known.expect("it waited"));
                        } else {
                            prop_assert!(tickets.is_empty());
                        }
                    }
                    4 => {
                        let goes = |one: usize| one % 2 == which % 2;
                        let left: Vec<usize> = tickets
                            .extract_if(.., |(ticket, one)| ticket.asker == asker && goes(*one))
                            .map(|(_, one)| one)
                            .collect();
                        let taken = waiters.take_some(asker, |(_, one)| goes(*one));
                        let taken: Vec<usize> = taken.iter().map(|(_, one)| *one).collect();
                        prop_assert_eq!(taken.is_sorted(), true);
                        prop_assert_eq!(BTreeSet::from_iter(taken), BTreeSet::from_iter(left));
                    }
                    _ if !tickets.is_empty() => {
                        let (ticket, one) = tickets.remove(which % tickets.len());
                        prop_assert_eq!(waiters.remove(ticket).map(|(_, other)| other), Some(one));
                        prop_assert_eq!(waiters.remove(ticket), None);
                    }
                    _ => {}
                }
                prop_assert_eq!(waiters.len(), tickets.len());
                prop_assert_eq!(waiters.is_empty(), waiters.peek().is_none());
            }
        }
    }
}

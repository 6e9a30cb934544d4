//! What is kept for whom.

use std::collections::BTreeMap;

/// One part in so many of the limit is kept for nobody, so that those without a floor are served too.
const KEPT_FOR_NOBODY: u32 = 10;

/// The floors of all members, whether or not they hold anything. Counted by size: there are as many sizes as plans,
/// and far more members.
#[derive(Debug)]
pub(super) struct Floors {
    /// The most that may be kept.
    most: u32,
    members: BTreeMap<u32, u32>,
    sum: u64,
    /// What is kept for all of them together.
    kept: i64,
}

impl Floors {
    pub(super) fn new(limit: u32) -> Self {
        Self { most: most_of(limit), members: BTreeMap::new(), sum: 0, kept: 0 }
    }

    /// The limit has changed. Says whether single floors count for something else now.
    pub(super) fn set_limit(&mut self, limit: u32) -> bool {
        let was_scaled = self.is_scaled();
        self.most = most_of(limit);
        self.add_up();
        was_scaled || self.is_scaled()
    }

    /// One member's floor has changed. Says whether others' count for something else now.
    pub(super) fn replace(&mut self, old: u32, new: u32) -> bool {
        let was_scaled = self.is_scaled();
        if old > 0
            && let Some(members) = self.members.get_mut(&old)
        {
            *members -= 1;
            if *members == 0 {
                self.members.remove(&old);
            }
        }
        if new > 0 {
            *self.members.entry(new).or_default() += 1;
        }
        self.sum = self.sum + u64::from(new) - u64::from(old);
        self.add_up();
        was_scaled || self.is_scaled()
    }

    /// What a floor comes to. Floors that together exceed what may be kept shrink in proportion.
    pub(super) fn of(&self, floor: u32) -> u32 {
        if !self.is_scaled() {
            return floor;
        }
        let scaled = u64::from(floor) * u64::from(self.most) / self.sum;
        u32::try_from(scaled).unwrap_or(floor)
    }

    /// What is kept for all of them together: never more than the limit.
    pub(super) fn kept(&self) -> i64 {
        self.kept
    }

    fn is_scaled(&self) -> bool {
        self.sum > u64::from(self.most)
    }

    fn add_up(&mut self) {
        self.kept = self
            .members
            .iter()
            .map(|(floor, members)| i64::from(self.of(*floor)) * i64::from(*members))
            .sum();
    }
}

fn most_of(limit: u32) -> u32 {
    limit.saturating_sub((limit / KEPT_FOR_NOBODY).max(1))
}

//! How long to wait before a login is tried again.

use std::time::Duration;

/// Pauses that double with every failure, up to a longest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After the first failure.
    pub first: Duration,
    /// None is longer.
    pub longest: Duration,
}

/// Chance, handed in by whoever has it: 0 makes the shortest pause, `u32::MAX` the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(pub u32);

impl Jitter {
    /// From the system. Without randomness there is less of a spread, and no harm.
    #[must_use]
    pub fn random() -> Self {
        Self(getrandom::u32().unwrap_or(u32::MAX / 2))
    }
}

impl Pauses {
    /// The pause after so many failures in a row: between half of what doubling comes to and all of it, so that
    /// gateways that saw the same failure do not come back in step.
    #[must_use]
    pub fn after(&self, failures: u32, jitter: Jitter) -> Duration {
        let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = f64::from(jitter.0) / f64::from(u32::MAX);
        pause / 2 + (pause / 2).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAUSES: Pauses = Pauses { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

    #[test]
    fn a_pause_doubles_up_to_the_longest() {
        let longest = |failures| PAUSES.after(failures, Jitter(u32::MAX)).as_millis();
        assert_eq!([1, 2, 3, 7, 8, 40, u32::MAX].map(longest), [50, 100, 200, 3200, 5000, 5000, 5000]);
    }

    proptest! {
        #[test]
        fn chance_shortens_a_pause_by_half_at_most(failures: u32, jitter: u32) {
            let (all, chosen) = (PAUSES.after(failures, Jitter(u32::MAX)), PAUSES.after(failures, Jitter(jitter)));
            prop_assert!(chosen >= all / 2 && chosen <= all, "{chosen:?} of {all:?}");
        }
    }
}

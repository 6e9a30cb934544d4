//! How long to wait before a step is tried again, and how often.

use std::time::Duration;

/// The first wait. Most passing troubles (a lock, a reload) are over in less.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait: a person who has mended the cause sees it taken up within this.
const LONGEST: Duration = Duration::from_secs(30);

/// Tries before a step that can be undone is given up. With the waits between them about a minute.
pub(super) const ATTEMPTS_MAX: u32 = 9;

/// Tries before an undo is left to a person: about a quarter of an hour, a server's restart and more.
pub(super) const UNDO_ATTEMPTS_MAX: u32 = 36;

/// The wait after the given number of failed tries. `jitter` is 0 to 1 and spreads tries that failed together.
pub(super) fn delay(failed: u32, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1).min(16)));
    doubled.min(LONGEST).mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0))
}

/// A number from 0 to 1; without randomness there is simply no jitter.
pub(super) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(delay(1, 0.5), FIRST);
        assert_eq!(delay(2, 0.5), FIRST * 2);
        assert_eq!(delay(40, 0.5), LONGEST);
        assert_eq!(delay(u32::MAX, 0.5), LONGEST);
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        for jitter in [0.0, 0.3, 1.0, f64::INFINITY] {
            let wait = delay(3, jitter);
            assert!(wait >= FIRST * 3 && wait <= FIRST * 5, "{wait:?}");
        }
        assert!((0.0..=1.0).contains(&jitter()));
    }
}

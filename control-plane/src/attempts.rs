//! How many failed attempts something has: an address that shows wrong tokens, an account whose password is guessed.
//!
//! Each attempt costs a look at the catalog or a hash, which is what an attacker who has nothing else could spend, and
//! an account's password could be guessed if there were no bound. A refusal passes by itself. What is kept is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Origins that are remembered. For one more, the one is forgotten that has the most of its allowance left: whoever makes
/// many origins fail gives a few attempts back, and locks nobody out.
const ORIGINS_MAX: usize = 4_096;

/// Failed attempts, by where they came from or went to.
pub(crate) struct Attempts<K> {
    /// In which an origin's allowance, once used up, is whole again.
    window: Duration,
    /// What one attempt costs of the window.
    cost: Duration,
    /// When each origin will have its whole allowance again; those that have it are left out.
    whole_at: Mutex<HashMap<K, Instant>>,
}

/// One attempt that was allowed. It is used up unless it is given back.
#[must_use]
pub(crate) struct Attempt<K>(K);

impl<K: Copy + Eq + Hash> Attempts<K> {
    /// At most `count` in a window, of each origin.
    pub(crate) fn new(count: u32, window: Duration) -> Self {
        Self { window, cost: window / count.max(1), whole_at: Mutex::default() }
    }

    /// Takes one attempt from an origin's allowance, if any is left.
    pub(crate) fn take(&self, of: K, now: Instant) -> Option<Attempt<K>> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = whole_at.get(&of).copied().unwrap_or(now).max(now) + self.cost;
        if next > now + self.window {
            return None;
        }
        make_room(&mut whole_at, of, now);
        whole_at.insert(of, next);
        Some(Attempt(of))
    }

    /// The attempt did not fail: whoever makes good ones has all attempts left.
    pub(crate) fn give_back(&self, Attempt(origin): Attempt<K>, now: Instant) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = whole_at.get_mut(&origin) else { return };
        *at = at.checked_sub(self.cost).unwrap_or(now);
        if *at <= now {
            whole_at.remove(&origin);
        }
    }

    /// Origins of attempts that failed within the last window.
    pub(crate) fn origins(&self) -> usize {
        self.whole_at.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Makes room for an origin that is new.
fn make_room<K: Copy + Eq + Hash>(whole_at: &mut HashMap<K, Instant>, of: K, now: Instant) {
    if whole_at.contains_key(&of) || whole_at.len() < ORIGINS_MAX {
        return;
    }
    whole_at.retain(|_, at| *at > now);
    if whole_at.len() < ORIGINS_MAX {
        return;
    }
    let most_left = whole_at.iter().min_by_key(|(_, at)| **at).map(|(origin, _)| *origin);
    most_left.map(|origin| whole_at.remove(&origin));
}

/// An IPv4 address, or the /64 of an IPv6 one: that is what one subscriber has (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn an_origin_has_so_many_attempts_and_gets_them_back() {
        let (attempts, start) = (Attempts::new(60, WINDOW), Instant::now());
        for _ in 0..60 {
            assert!(attempts.take(address(1), start).is_some());
        }
        assert!(attempts.take(address(1), start).is_none());
        assert!(attempts.take(address(2), start).is_some(), "another address has its own");
        assert!(attempts.take(address(1), start + Duration::from_millis(999)).is_none());
        assert!(attempts.take(address(1), start + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn good_attempts_cost_nothing() {
        let (attempts, start) = (Attempts::new(2, WINDOW), Instant::now());
        for _ in 0..10 {
            let attempt = attempts.take(address(1), start).unwrap();
            attempts.give_back(attempt, start);
        }
        assert_eq!(attempts.origins(), 0);
    }

    #[test]
    fn many_origins_neither_lock_others_out_nor_set_one_free_that_fails_much() {
        let (attempts, start) = (Attempts::new(2, WINDOW), Instant::now());
        for _ in 0..2 {
            assert!(attempts.take(address(0), start).is_some());
        }
        for n in 1..10_000 {
            assert!(attempts.take(address(n), start).is_some(), "each has its own allowance");
            assert!(attempts.origins() <= ORIGINS_MAX);
        }
        assert!(attempts.take(address(0), start).is_none(), "who failed most is remembered");
        assert!(attempts.take(address(10_000), start + WINDOW).is_some());
        assert_eq!(attempts.origins(), 1, "who has its whole allowance again is forgotten");
    }

    #[test]
    fn a_subscriber_does_not_gain_by_having_many_addresses() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    }
}

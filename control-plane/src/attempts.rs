//! How many failed attempts something has: an address that shows wrong tokens, an account whose password is guessed.
//!
//! Each attempt costs a look at the catalog or a hash, which is what an attacker who has nothing else could spend, and
//! an account's password could be guessed if there were no bound. A refusal passes by itself. What is kept is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Origins that are told apart. All beyond these share one allowance until some of these are forgotten.
const ORIGINS_MAX: usize = 4_096;

/// Whose attempts are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin<K> {
    /// This one's.
    Known(K),
    /// Those of everybody for whom there is no room.
    Others,
}

/// Failed attempts, by where they came from or went to.
pub(crate) struct Attempts<K> {
    /// In which an origin's allowance, once used up, is whole again.
    window: Duration,
    /// What one attempt costs of the window.
    cost: Duration,
    /// When each origin will have its whole allowance again; those that have it are left out.
    whole_at: Mutex<HashMap<Origin<K>, Instant>>,
}

/// One attempt that was allowed. It is used up unless it is given back.
#[must_use]
pub(crate) struct Attempt<K>(Origin<K>);

impl<K: Copy + Eq + Hash> Attempts<K> {
    /// At most `count` in a window, of each origin.
    pub(crate) fn new(count: u32, window: Duration) -> Self {
        Self { window, cost: window / count.max(1), whole_at: Mutex::default() }
    }

    /// Takes one attempt from an origin's allowance, if any is left.
    pub(crate) fn take(&self, of: K, now: Instant) -> Option<Attempt<K>> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin_in(&mut whole_at, of, now);
        let next = whole_at.get(&origin).copied().unwrap_or(now).max(now) + self.cost;
        if next > now + self.window {
            return None;
        }
        whole_at.insert(origin, next);
        Some(Attempt(origin))
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

/// The origin under which an attempt is counted; makes room for one that is new.
fn origin_in<K: Copy + Eq + Hash>(
    whole_at: &mut HashMap<Origin<K>, Instant>,
    of: K,
    now: Instant,
) -> Origin<K> {
    let origin = Origin::Known(of);
    if whole_at.contains_key(&origin) || whole_at.len() < ORIGINS_MAX {
        return origin;
    }
    whole_at.retain(|_, at| *at > now);
    if whole_at.len() < ORIGINS_MAX { origin } else { Origin::Others }
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
    fn there_is_room_for_so_many_and_the_others_share() {
        let (attempts, start) = (Attempts::new(1, WINDOW), Instant::now());
        for n in 0..4_096 {
            assert!(attempts.take(address(n), start).is_some());
        }
        assert!(attempts.take(address(9_000), start).is_some());
        assert!(attempts.take(address(9_001), start).is_none(), "the others' allowance is used up");
        assert!(attempts.origins() <= ORIGINS_MAX + 1);
        let later = start + WINDOW;
        assert!(attempts.take(address(9_001), later).is_some());
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

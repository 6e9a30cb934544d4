//! How many wrong tokens an address may show.
//!
//! Each costs a look at the catalog, and looks are what an attacker who has nothing else could spend. Tokens of ours
//! cannot be guessed, so a refusal here only bounds that cost: it passes by itself, and the operator's token, which
//! costs no look, is not subject to it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are told apart. All beyond these share one allowance until some of these are forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// What an address may use up at once, it gets back in this time.
const WINDOW: Duration = Duration::from_secs(60);

/// Who shows tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    /// An IPv4 address, or the /64 of an IPv6 one: that is what one subscriber has (RFC 6177).
    Address(IpAddr),
    /// Everybody for whom there is no room.
    Others,
}

/// Wrong tokens, by where they came from.
pub(super) struct Attempts {
    /// What one attempt costs of the window.
    cost: Duration,
    /// When each origin will have its whole allowance again; those that have it are left out.
    whole_at: Mutex<HashMap<Origin, Instant>>,
}

/// One attempt that was allowed. It is used up unless it is given back.
#[must_use]
pub(super) struct Attempt(Origin);

impl Attempts {
    /// At most `per_minute` of each address.
    pub(super) fn new(per_minute: u32) -> Self {
        Self { cost: WINDOW / per_minute.max(1), whole_at: Mutex::default() }
    }

    /// Takes one attempt from an address' allowance, if any is left.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Option<Attempt> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin_in(&mut whole_at, network(address), now);
        let next = whole_at.get(&origin).copied().unwrap_or(now).max(now) + self.cost;
        if next > now + WINDOW {
            return None;
        }
        whole_at.insert(origin, next);
        Some(Attempt(origin))
    }

    /// The token was right: whoever shows right ones has all attempts left.
    pub(super) fn give_back(&self, Attempt(origin): Attempt, now: Instant) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = whole_at.get_mut(&origin) else { return };
        *at = at.checked_sub(self.cost).unwrap_or(now);
        if *at <= now {
            whole_at.remove(&origin);
        }
    }

    /// Addresses that have shown wrong tokens within the last minute.
    pub(super) fn addresses(&self) -> usize {
        self.whole_at.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The origin under which an address is counted; makes room for one that is new.
fn origin_in(whole_at: &mut HashMap<Origin, Instant>, address: IpAddr, now: Instant) -> Origin {
    let origin = Origin::Address(address);
    if whole_at.contains_key(&origin) || whole_at.len() < ADDRESSES_MAX {
        return origin;
    }
    whole_at.retain(|_, at| *at > now);
    if whole_at.len() < ADDRESSES_MAX { origin } else { Origin::Others }
}

fn network(address: IpAddr) -> IpAddr {
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

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn an_address_has_so_many_attempts_and_gets_them_back() {
        let (attempts, start) = (Attempts::new(60), Instant::now());
        for _ in 0..60 {
            assert!(attempts.take(address(1), start).is_some());
        }
        assert!(attempts.take(address(1), start).is_none());
        assert!(attempts.take(address(2), start).is_some(), "another address has its own");
        assert!(attempts.take(address(1), start + Duration::from_millis(999)).is_none());
        assert!(attempts.take(address(1), start + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn right_tokens_cost_nothing() {
        let (attempts, start) = (Attempts::new(2), Instant::now());
        for _ in 0..10 {
            let attempt = attempts.take(address(1), start).unwrap();
            attempts.give_back(attempt, start);
        }
        assert_eq!(attempts.addresses(), 0);
    }

    #[test]
    fn there_is_room_for_so_many_addresses_and_the_others_share() {
        let (attempts, start) = (Attempts::new(1), Instant::now());
        for n in 0..4_096 {
            assert!(attempts.take(address(n), start).is_some());
        }
        assert!(attempts.take(address(9_000), start).is_some());
        assert!(attempts.take(address(9_001), start).is_none(), "the others' allowance is used up");
        assert!(attempts.addresses() <= ADDRESSES_MAX + 1);
        let later = start + WINDOW;
        assert!(attempts.take(address(9_001), later).is_some());
        assert_eq!(attempts.addresses(), 1, "who has its whole allowance again is forgotten");
    }

    #[test]
    fn a_subscriber_does_not_gain_by_having_many_addresses() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    }
}

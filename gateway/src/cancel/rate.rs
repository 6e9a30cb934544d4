//! How many requests one address may send in a second.
//!
//! Addresses are counted by their hash, in as many counters as there are: no table grows with the number of
//! addresses. Two that share a counter share its bound.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counters, 8 bytes each.
const COUNTERS: usize = 4096;

/// Counts requests by where they come from.
pub(super) struct SourceRate {
    /// The second in the upper half, how many came in it in the lower.
    counters: Box<[AtomicU64]>,
    /// Random, so that nobody can choose whom to share a counter with.
    hasher: RandomState,
    started: Instant,
    per_second_max: u32,
}

impl SourceRate {
    pub(super) fn new(per_second_max: u32) -> Self {
        Self {
            counters: std::iter::repeat_with(AtomicU64::default).take(COUNTERS).collect(),
            hasher: RandomState::new(),
            started: Instant::now(),
            per_second_max,
        }
    }

    /// Counts one more, unless it is one too many.
    pub(super) fn allows(&self, source: IpAddr) -> bool {
        self.allows_in(source, self.started.elapsed().as_secs())
    }

    fn allows_in(&self, source: IpAddr, second: u64) -> bool {
        let index = usize::try_from(self.hasher.hash_one(network(source)) % COUNTERS as u64).unwrap_or(0);
        let window = second << 32;
        let counted = self.counters[index].fetch_update(Ordering::AcqRel, Ordering::Acquire, |counter| {
            let count =
                if counter & !u64::from(u32::MAX) == window { counter & u64::from(u32::MAX) } else { 0 };
            (count < u64::from(self.per_second_max)).then_some(window | (count + 1))
        });
        counted.is_ok()
    }
}

/// Whoever has an IPv6 address has the 2^64 of its network.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_bounded_in_each_second() {
        let rate = SourceRate::new(3);
        let source = IpAddr::from([10, 0, 0, 1]);
        for second in [0, 1, 7] {
            let allowed = (0..10).filter(|_| rate.allows_in(source, second)).count();
            assert_eq!(allowed, 3, "in second {second}");
        }
    }

    #[test]
    fn one_address_does_not_use_up_what_all_others_may() {
        let rate = SourceRate::new(1);
        let allowed = (0..=255).filter(|last| rate.allows_in(IpAddr::from([10, 0, 0, *last]), 0)).count();
        assert!(allowed > 200, "only {allowed} of 256 addresses");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}

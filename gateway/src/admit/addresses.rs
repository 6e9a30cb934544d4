//! How much one address may ask for before anybody knows who is there: connections, and logins that fail.
//!
//! An address is counted by its [`AddressKey`]: an IPv4 address, or an IPv6 network of 64 bits. All have buckets in two
//! tables of a fixed size, found by two hashes that nobody can foretell: no table grows with the number of addresses,
//! and one is refused only when both of its buckets are empty, so that hardly anybody pays for another.
//!
//! What this must never do: grow with the number of addresses, wait for a lock before it lets somebody in, or say
//! anything that tells whether a tenant or user exists.

use super::rate::{now, wait_for};
use crate::error::Refusal;
use crate::metrics::Counter;
use config::LimitsConfig;
use jiff::Timestamp;
use net::{AddressKey, ClientAddress};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tenancy::{AddressRange, ErrorKind};

/// Buckets in each table, 8 bytes each.
const BUCKETS: usize = 16 * 1024;

/// Addresses that were refused last and are remembered for operators.
const SHOWN_MAX: usize = 256;

/// Seconds of connections that an address may ask for at once: a fleet of applications that starts behind one address
/// translation opens its pools together.
const CONNECTIONS_BURST_SECONDS: u64 = 5;

/// How far the buckets of an address may be overdrawn, in what full ones are worth. Logins that fail side by side were
/// all let in while there was one left; whoever fails once more behind an address translation is not to pay for ever.
const OVERDRAWN_MAX: u64 = 2;

/// What an address asked for too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Excess {
    /// Connections.
    Connections,
    /// Logins that fail.
    FailedLogins,
}

impl Excess {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Connections, Self::FailedLogins];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::FailedLogins => "failed_logins",
        }
    }

    fn refusal(self, wait: u64) -> Refusal {
        let message = match self {
            Self::Connections => "too many connections from this address",
            Self::FailedLogins => "too many failed logins from this address",
        };
        Refusal::new(ErrorKind::AddressLimited, message)
            .hint("wait before you try again; the gateway's operator can exempt addresses")
            .retry_after(Duration::from_nanos(wait))
    }
}

/// An address that was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedAddress {
    /// The address or network.
    pub address: AddressKey,
    /// What it asked for too often.
    pub excess: Excess,
    /// How often it was refused.
    pub times: u64,
    /// When it was last.
    pub last: Timestamp,
}

/// What addresses have asked for.
pub struct Addresses {
    connections: Table,
    failed_logins: Table,
    exempt: Vec<AddressRange>,
    /// Logins that failed, from whatever address.
    pub failed: Counter,
    refused: [Counter; Excess::ALL.len()],
    shown: Mutex<HashMap<(AddressKey, Excess), RefusedAddress>>,
}

impl Addresses {
    /// Nobody has asked for anything. Trusted proxies are exempt: they say for whom they ask.
    #[must_use]
    pub fn new(limits: &LimitsConfig, trusted_proxies: &[AddressRange]) -> Self {
        let (connections, failed) =
            (limits.address_connections_per_second, limits.address_failed_logins_per_minute);
        Self {
            connections: Table::new(connections, Duration::from_secs(1), CONNECTIONS_BURST_SECONDS),
            failed_logins: Table::new(failed, Duration::from_secs(60), 1),
            exempt: limits.address_exempt.iter().chain(trusted_proxies).copied().collect(),
            failed: Counter::default(),
            refused: std::array::from_fn(|_| Counter::default()),
            shown: Mutex::default(),
        }
    }

    /// Somebody connects.
    ///
    /// # Errors
    /// Too many came from there lately, or too many of their logins failed.
    pub fn connects(&self, address: ClientAddress) -> Result<(), Refusal> {
        if self.is_exempt(address) {
            return Ok(());
        }
        self.judge(address, Excess::Connections, self.connections.take(address.key(), now()))?;
        self.may_log_in(address)
    }

    /// Somebody wants to prove who it is.
    ///
    /// # Errors
    /// Too many logins from there failed lately.
    pub fn may_log_in(&self, address: ClientAddress) -> Result<(), Refusal> {
        if self.is_exempt(address) {
            return Ok(());
        }
        self.judge(address, Excess::FailedLogins, self.failed_logins.look(address.key(), now()))
    }

    /// Somebody was refused with this; what tells that a proof was wrong is counted.
    pub fn refused_with(&self, kind: ErrorKind, address: ClientAddress) {
        if kind == ErrorKind::Unauthenticated {
            self.failed.inc();
            if !self.is_exempt(address) {
                self.failed_logins.owe(address.key(), now());
            }
        }
    }

    /// Refusals by what was asked for too often.
    pub fn refusals(&self) -> impl Iterator<Item = (Excess, u64)> {
        Excess::ALL.into_iter().zip(self.refused.iter().map(Counter::get))
    }

    /// Those that were refused last.
    #[must_use]
    pub fn shown(&self) -> Vec<RefusedAddress> {
        let mut shown: Vec<_> =
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
        shown.sort_unstable_by_key(|refused| std::cmp::Reverse(refused.last));
        shown
    }

    fn is_exempt(&self, address: ClientAddress) -> bool {
        self.exempt.iter().any(|range| range.contains(address.ip()))
    }

    fn judge(&self, address: ClientAddress, excess: Excess, judged: Result<(), u64>) -> Result<(), Refusal> {
        judged.map_err(|wait| {
            self.note(address.key(), excess);
            excess.refusal(wait)
        })
    }

    fn note(&self, address: AddressKey, excess: Excess) {
        if let Some(index) = Excess::ALL.iter().position(|other| *other == excess) {
            self.refused[index].inc();
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, excess);
        if shown.len() >= SHOWN_MAX && !shown.contains_key(&key) {
            let oldest = shown.iter().min_by_key(|(_, refused)| refused.last).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                shown.remove(&oldest);
            }
        }
        let last = Timestamp::now();
        let refused = shown.entry(key).or_insert(RefusedAddress { address, excess, times: 0, last });
        (refused.times, refused.last) = (refused.times + 1, last);
    }
}

/// Buckets of addresses: each says when it is full, as a tenant's does.
struct Table {
    rows: [Row; 2],
    /// Nanoseconds for one; 0 for no limit.
    interval: u64,
    /// What a full bucket is worth.
    worth: u64,
}

struct Row {
    full_at: Box<[AtomicU64]>,
    /// Random, so that nobody can choose whom to share a bucket with.
    hasher: RandomState,
}

impl Table {
    /// So many in a time, and what comes in `burst` such times at once; 0 for no limit.
    fn new(most: u32, time: Duration, burst: u64) -> Self {
        let row = || Row {
            full_at: std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect(),
            hasher: RandomState::new(),
        };
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let interval = if most == 0 { 0 } else { time.div_ceil(most.into()) };
        Self { rows: [row(), row()], interval, worth: interval * u64::from(most) * burst }
    }

    /// Takes one from both buckets. An error says how long to wait.
    fn take(&self, address: AddressKey, now: u64) -> Result<(), u64> {
        self.each(address, |bucket| {
            let taken = bucket.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
                (self.wait(full_at, now) == 0).then(|| full_at.max(now) + self.interval)
            });
            taken.map(drop).map_err(|full_at| self.wait(full_at, now))
        })
    }

    /// Takes one from both buckets whether or not there is any: they are empty for longer then.
    fn owe(&self, address: AddressKey, now: u64) {
        let most = now.saturating_add(self.worth * (1 + OVERDRAWN_MAX));
        for row in &self.rows {
            let _ = row.bucket(address).fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
                Some(full_at.max(now).saturating_add(self.interval).min(most.max(full_at)))
            });
        }
    }

    /// Is there one in either bucket?
    fn look(&self, address: AddressKey, now: u64) -> Result<(), u64> {
        self.each(address, |bucket| match self.wait(bucket.load(Ordering::Acquire), now) {
            0 => Ok(()),
            wait => Err(wait),
        })
    }

    fn wait(&self, full_at: u64, now: u64) -> u64 {
        wait_for(full_at, now, self.interval, self.worth)
    }

    /// Judged by the fuller of the address's two buckets.
    fn each(&self, address: AddressKey, judge: impl Fn(&AtomicU64) -> Result<(), u64>) -> Result<(), u64> {
        if self.interval == 0 {
            return Ok(());
        }
        let [first, second] = self.rows.each_ref().map(|row| judge(row.bucket(address)));
        first.or_else(|wait| second.map_err(|other| wait.min(other)))
    }
}

impl Row {
    fn bucket(&self, address: AddressKey) -> &AtomicU64 {
        let index = usize::try_from(self.hasher.hash_one(address) % BUCKETS as u64).unwrap_or(0);
        &self.full_at[index]
    }
}

#[cfg(test)]
mod tests;

//! The bucket that a tenant's requests are taken from, in one atomic.
//!
//! The generic cell rate algorithm (ITU-T I.371, Annex A): all that is kept is when the bucket would be full again if
//! nobody took from it any more. Taking moves that on by the time that one request is worth; it may lie as far ahead as
//! the whole bucket is worth. A request that could not be refused moves it further: that is owed, and what comes next
//! waits for it. No lock, no timer, no allocation; the unlimited bucket costs one load.
//!
//! Times are nanoseconds of a clock that nobody sets; the caller reads it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one request is worth while nothing flows in, which must not be for ever. Nothing is let in by that which is
/// worth speaking of, and what is in the bucket can still be told from what is not.
const STILL: u64 = 3_600_000_000_000;

/// One second.
const SECOND: u64 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Nanoseconds for one request; 0 for no limit.
    interval: u64,
    /// Requests.
    capacity: u32,
}

impl Flow {
    /// No limit.
    pub const UNLIMITED: Self = Self { interval: 0, capacity: 0 };

    /// `share` of `whole` parts of so many requests a second, into a bucket of `capacity`, one at least.
    #[must_use]
    pub fn of(per_second: u32, share: u32, whole: u32, capacity: u32) -> Self {
        let per_second = u128::from(per_second) * u128::from(share.min(whole));
        let interval = (u128::from(SECOND) * u128::from(whole)).div_ceil(per_second.max(1));
        let interval = if per_second == 0 { STILL } else { u64::try_from(interval).unwrap_or(STILL) };
        Self { interval: interval.clamp(1, STILL), capacity: capacity.max(1) }
    }

    /// What a full bucket is worth.
    fn worth(self) -> u64 {
        self.interval.saturating_mul(self.capacity.into())
    }
}

/// How long until one can be taken that is worth `interval` from a bucket that is full at `full_at`, and is worth
/// `worth` then.
pub(in crate::admit) fn wait_for(full_at: u64, now: u64, interval: u64, worth: u64) -> u64 {
    full_at.max(now).saturating_add(interval).saturating_sub(now.saturating_add(worth))
}

/// A bucket. It begins without a limit.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it is full.
    full_at: AtomicU64,
    /// What one request is worth, in nanoseconds; 0 for no limit.
    interval: AtomicU64,
    /// What a full bucket is worth.
    worth: AtomicU64,
}

impl Bucket {
    /// Does it bound anything?
    #[inline]
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.interval.load(Ordering::Relaxed) != 0
    }

    /// Takes one request.
    ///
    /// # Errors
    /// It is empty: how long to wait for the next, in nanoseconds.
    pub fn take(&self, now: u64) -> Result<(), u64> {
        self.reserve(now, 0).map(drop)
    }

    /// Takes one request that is due after a wait of `wait_max` nanoseconds at most, and says how long that is. Those
    /// who come later wait longer.
    ///
    /// # Errors
    /// It would be longer: by how much time one has to come later for no wait at all.
    pub fn reserve(&self, now: u64, wait_max: u64) -> Result<u64, u64> {
        let interval = self.interval.load(Ordering::Relaxed);
        if interval == 0 {
            return Ok(0);
        }
        let worth = self.worth.load(Ordering::Relaxed);
        let wait = |full_at| wait_for(full_at, now, interval, worth);
        let taken = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            (wait(full_at) <= wait_max).then(|| full_at.max(now).saturating_add(interval))
        });
        taken.map(wait).map_err(wait)
    }

    /// Takes one request whether or not there is any: it is owed otherwise.
    pub fn owe(&self, now: u64) {
        let interval = self.interval.load(Ordering::Relaxed);
        if interval != 0 {
            let _ = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
                Some(full_at.max(now).saturating_add(interval))
            });
        }
    }

    /// Puts back what was reserved and is not used.
    pub fn give_back(&self) {
        let interval = self.interval.load(Ordering::Relaxed);
        let _ = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            Some(full_at.saturating_sub(interval))
        });
    }

    /// Requests that are in it.
    #[must_use]
    pub fn remaining(&self, now: u64) -> u32 {
        let (interval, worth) = (self.interval.load(Ordering::Relaxed), self.worth.load(Ordering::Relaxed));
        let missing = self.missing(now);
        u32::try_from(worth.saturating_sub(missing) / interval.max(1)).unwrap_or(u32::MAX)
    }

    /// How long it takes to be full, in nanoseconds.
    #[must_use]
    pub fn missing(&self, now: u64) -> u64 {
        self.full_at.load(Ordering::Acquire).saturating_sub(now)
    }

    /// Changes how fast it fills and how much it holds. What is in it stays, as far as there is room; a larger one is
    /// not fuller. One that had no limit is full.
    pub fn set(&self, now: u64, flow: Flow) {
        let (before, worth_before) =
            (self.interval.load(Ordering::Relaxed), self.worth.load(Ordering::Relaxed));
        let worth = flow.worth();
        self.worth.store(worth, Ordering::Relaxed);
        self.interval.store(flow.interval, Ordering::Relaxed);
        if (before, worth_before) == (flow.interval, worth) {
            return;
        }
        let _ = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            let missing = full_at.saturating_sub(now);
            Some(now.saturating_add(missing_after(missing, before, worth_before, flow)))
        });
    }
}

/// What is missing in a bucket that has become another, when so much was missing in the one of before.
fn missing_after(missing: u64, interval: u64, worth: u64, flow: Flow) -> u64 {
    if interval == 0 || flow.interval == 0 {
        return 0;
    }
    // In requests, times the interval of before.
    let (before, capacity) = (u128::from(interval), u128::from(flow.capacity));
    let is_missing = (u128::from(missing) + capacity * before).saturating_sub(u128::from(worth));
    u64::try_from((is_missing * u128::from(flow.interval)).div_ceil(before)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

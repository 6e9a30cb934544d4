//! The bucket that a tenant's requests are taken from, in one atomic.
//!
//! The generic cell rate algorithm (ITU-T I.371, Annex A): all that is kept is when the bucket would be full again if
//! nobody took from it any more. Taking moves that on by the time that one request is worth; it may lie as far ahead as
//! the whole bucket is worth. A request that could not be refused moves it further: that is owed, and what comes next
//! waits for it; how much may be owed is bounded. No lock, no timer, no allocation; the unlimited bucket costs one load.
//!
//! When the bucket fills is kept in time, so it is worth something only together with how fast the bucket fills. Both
//! change together ([`Bucket::set`]), and nobody takes from the bucket with one of before and the other of after.
//!
//! Times are nanoseconds of a clock that nobody sets; the caller reads it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// What one request is worth while nothing flows in, which must not be for ever. Nothing is let in by that which is
/// worth speaking of, and what is in the bucket can still be told from what is not.
const STILL: u64 = 3_600_000_000_000;

/// One second.
const SECOND: u64 = 1_000_000_000;

/// What may be owed at most, as the time in which so much flows in; one request may always be. More would shut a
/// tenant out for longer than anybody waits, for one transaction of long ago.
const DEBT_MAX: u64 = 10 * SECOND;

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
        let capacity = capacity.max(1);
        // A bucket that is worth more than can be written down would not be told from one that is emptier.
        let interval_max = STILL.min(u64::MAX / 4 / u64::from(capacity));
        Self { interval: interval.clamp(1, interval_max), capacity }
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

/// In what [`Bucket::full_at`] is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    interval: u64,
    worth: u64,
}

impl Scale {
    fn wait_for(self, full_at: u64, now: u64) -> u64 {
        if self.interval == 0 { 0 } else { wait_for(full_at, now, self.interval, self.worth) }
    }

    /// How much may be owed, as a time to wait.
    fn debt_max(self) -> u64 {
        DEBT_MAX.max(self.interval)
    }
}

/// A bucket. It begins without a limit.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it is full.
    full_at: AtomicU64,
    /// Odd while the scale is being changed.
    version: AtomicU64,
    /// Requests that were reserved and have not begun.
    reserved: AtomicU32,
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
        self.take_within(now, |_| 0).map(drop)
    }

    /// Takes one request that is due after a wait of `wait_max` nanoseconds at most, and says how long that is. Those
    /// who come later wait longer. It is to be [used](Self::used) or [given back](Self::give_back).
    ///
    /// # Errors
    /// It would be longer: by how much time one has to come later for no wait at all.
    pub fn reserve(&self, now: u64, wait_max: u64) -> Result<u64, u64> {
        let wait = self.take_within(now, |_| wait_max)?;
        self.reserved.fetch_add(1, Ordering::Relaxed);
        Ok(wait)
    }

    /// Takes one request whether or not there is any: it is owed otherwise.
    ///
    /// # Errors
    /// As much is owed as may be: how long until there is room for one more, in nanoseconds.
    pub fn owe(&self, now: u64) -> Result<(), u64> {
        let owed = self.take_within(now, Scale::debt_max);
        owed.map(drop).map_err(|wait| wait.saturating_sub(self.scale().debt_max()))
    }

    fn take_within(&self, now: u64, wait_max: impl Fn(Scale) -> u64) -> Result<u64, u64> {
        if !self.is_limited() {
            return Ok(0);
        }
        let mut wait = 0;
        let taken = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            let scale = self.scale();
            wait = scale.wait_for(full_at, now);
            (wait <= wait_max(scale)).then(|| full_at.max(now).saturating_add(scale.interval))
        });
        if taken.is_ok() { Ok(wait) } else { Err(wait) }
    }

    /// What was reserved has begun.
    pub fn used(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Puts back what was reserved and is not used.
    pub fn give_back(&self) {
        let _ = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            Some(full_at.saturating_sub(self.scale().interval))
        });
        self.used();
    }

    /// What the bucket fills by now. To be read after `full_at`: when that is the same afterwards, both belong together, for
    /// each change moves it, unless two are made within a nanosecond.
    /// Whoever changes it has a few instructions left, however much of the time the machine has for it.
    fn scale(&self) -> Scale {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let scale = Scale {
                interval: self.interval.load(Ordering::Relaxed),
                worth: self.worth.load(Ordering::Relaxed),
            };
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return scale;
            }
            std::thread::yield_now();
        }
    }

    /// Requests that are in it.
    #[must_use]
    pub fn remaining(&self, now: u64) -> u32 {
        let missing = self.missing(now);
        let scale = self.scale();
        u32::try_from(scale.worth.saturating_sub(missing) / scale.interval.max(1)).unwrap_or(u32::MAX)
    }

    /// How long it takes to be full, in nanoseconds.
    #[must_use]
    pub fn missing(&self, now: u64) -> u64 {
        self.full_at.load(Ordering::Acquire).saturating_sub(now)
    }

    /// Changes how fast it fills and how much it holds. What is in it stays, as far as there is room; a larger one is
    /// not fuller. One that had no limit is full. To be called by one at a time.
    pub fn set(&self, now: u64, flow: Flow) {
        let (before, after) = (self.scale(), Scale { interval: flow.interval, worth: flow.worth() });
        if before == after {
            return;
        }
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.worth.store(after.worth, Ordering::Relaxed);
        self.interval.store(after.interval, Ordering::Relaxed);
        let _ = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            let missing = full_at.saturating_sub(now);
            let reserved = self.reserved.load(Ordering::Relaxed);
            Some(now.saturating_add(missing_after(missing, reserved, before, flow)))
        });
        self.version.store(version + 2, Ordering::Release);
    }
}

/// What is missing in a bucket that has become another, when so much was missing in the one of before. More is owed
/// than may be where it fills more slowly now: that is forgiven, and what is reserved is not.
fn missing_after(missing: u64, reserved: u32, before: Scale, flow: Flow) -> u64 {
    if before.interval == 0 || flow.interval == 0 {
        return 0;
    }
    // In requests, times the interval of before.
    let (interval, capacity) = (u128::from(before.interval), u128::from(flow.capacity));
    let is_missing = (u128::from(missing) + capacity * interval).saturating_sub(u128::from(before.worth));
    let after = Scale { interval: flow.interval, worth: flow.worth() };
    let missing_max = after
        .worth
        .saturating_add(after.debt_max())
        .saturating_add(flow.interval.saturating_mul(reserved.into()));
    let missing = (is_missing * u128::from(flow.interval)).div_ceil(interval);
    u64::try_from(missing).unwrap_or(u64::MAX).min(missing_max)
}

#[cfg(test)]
mod tests;

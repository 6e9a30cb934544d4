//! How many server connections this gateway may hold to one cluster, over all its pools.
//!
//! Only a [`ConnectPermit`] opens a connection, and the connection keeps it until the server has
//! closed its end. The count therefore never falls behind what the server sees: PostgreSQL frees a
//! backend's slot before it closes the socket.
//!
//! Who finds the budget spent waits in order of arrival. While somebody waits, idle connections are
//! closed to make room, and a connection that has served its pool for a while is not put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// While the budget is spent, a waiter looks again for an idle connection to close this often:
/// connections become idle, or old enough to be given up, without anybody telling the waiter.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The connections to one cluster.
pub struct Budget {
    permits: Arc<Semaphore>,
    limit: AtomicU32,
    /// Permits to withdraw as they come back, after the limit was lowered below what is in use.
    surplus: AtomicU32,
    waiting: AtomicU32,
    /// Connections being closed to make room: their permits are on the way.
    closing: AtomicU32,
}

impl Budget {
    /// A budget of `limit` connections.
    #[must_use]
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(limit as usize)),
            limit: AtomicU32::new(limit),
            surplus: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            closing: AtomicU32::new(0),
        })
    }

    /// Changes the limit. Connections above a lowered one are not cut: they are not replaced.
    pub fn set_limit(&self, limit: u32) {
        let old = self.limit.swap(limit, Ordering::AcqRel);
        if limit > old {
            let returned = self.take_surplus(limit - old);
            self.permits.add_permits((limit - old - returned) as usize);
        } else {
            let excess = old - limit;
            let forgotten = self.permits.forget_permits(excess as usize);
            let owed = excess - u32::try_from(forgotten).unwrap_or(excess);
            self.surplus.fetch_add(owed, Ordering::AcqRel);
        }
    }

    /// The most connections allowed.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }

    /// Connections open, being opened or being closed.
    #[must_use]
    pub fn used(&self) -> u32 {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        (self.limit() + self.surplus.load(Ordering::Acquire)).saturating_sub(free)
    }

    /// Permits out beyond the limit that are not on their way back.
    #[must_use]
    pub fn excess(&self) -> u32 {
        self.surplus.load(Ordering::Acquire).saturating_sub(self.closing.load(Ordering::Acquire))
    }

    /// Check-outs that wait for the budget.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// The right to open one connection. `make_room` closes one idle connection and says whether
    /// it found any. Dropping the future gives the place in the queue up.
    pub async fn acquire(self: &Arc<Self>, make_room: impl Fn() -> bool) -> ConnectPermit {
        if let Some(permit) = self.try_acquire() {
            return permit;
        }
        let _counted = Counted::new(&self.waiting);
        let mut turn = std::pin::pin!(Arc::clone(&self.permits).acquire_owned());
        loop {
            if self.closing.load(Ordering::Acquire) < self.waiting() {
                make_room();
            }
            tokio::select! {
                biased;
                permit = &mut turn => {
                    let permit = permit.expect("the budget's semaphore is never closed");
                    return ConnectPermit { permit: Some(permit), budget: Arc::clone(self), closing: false };
                }
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Resolves when no permit is out, and takes its turn behind those who wait for one.
    pub async fn all_returned(&self) {
        // Never closed, so this is no error; the permits go back at once.
        drop(self.permits.acquire_many(self.limit()).await);
    }

    fn try_acquire(self: &Arc<Self>) -> Option<ConnectPermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(ConnectPermit { permit: Some(permit), budget: Arc::clone(self), closing: false })
    }

    fn take_surplus(&self, wanted: u32) -> u32 {
        let mut taken = 0;
        let _ = self.surplus.fetch_update(Ordering::AcqRel, Ordering::Acquire, |surplus| {
            taken = surplus.min(wanted);
            Some(surplus - taken)
        });
        taken
    }
}

/// The right to hold one connection to a cluster. Lives as long as the connection does.
pub struct ConnectPermit {
    permit: Option<OwnedSemaphorePermit>,
    budget: Arc<Budget>,
    closing: bool,
}

impl ConnectPermit {
    /// The connection is being closed; the permit returns once the server has let go.
    pub fn mark_closing(&mut self) {
        if !self.closing {
            self.closing = true;
            self.budget.closing.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for ConnectPermit {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.budget.take_surplus(1) == 1
        {
            permit.forget();
        }
        if self.closing {
            self.budget.closing.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Counts somebody for as long as it lives.
pub struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    /// Adds one until dropped.
    #[must_use]
    pub fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn never_grants_more_than_the_limit() {
        let budget = Budget::new(2);
        let first = budget.acquire(|| false).await;
        let _second = budget.acquire(|| false).await;
        assert_eq!(budget.used(), 2);
        assert!(budget.try_acquire().is_none());
        drop(first);
        assert_eq!(budget.used(), 1);
        assert!(budget.try_acquire().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_makes_room() {
        let budget = Budget::new(1);
        let held = Mutex::new(Some(budget.acquire(|| false).await));
        let close_one = || held.lock().expect("no panic holds it").take().is_some();
        let _permit = budget.acquire(close_one).await;
        assert!(held.lock().expect("no panic holds it").is_none());
        assert_eq!((budget.used(), budget.waiting()), (1, 0));
    }

    #[tokio::test]
    async fn a_lowered_limit_is_reached_as_permits_come_back() {
        let budget = Budget::new(3);
        let permits = [budget.acquire(|| false).await, budget.acquire(|| false).await];
        budget.set_limit(1);
        assert_eq!((budget.limit(), budget.used()), (1, 2));
        drop(permits);
        assert_eq!(budget.used(), 0);
        let _only = budget.acquire(|| false).await;
        assert!(budget.try_acquire().is_none());
    }

    #[tokio::test]
    async fn a_limit_lowered_and_raised_again_is_exact() {
        let budget = Budget::new(4);
        let mut permits = Vec::new();
        for _ in 0..4 {
            permits.push(budget.acquire(|| false).await);
        }
        budget.set_limit(1);
        budget.set_limit(3);
        permits.clear();
        for _ in 0..3 {
            permits.push(budget.try_acquire().expect("three are allowed"));
        }
        assert!(budget.try_acquire().is_none());
    }
}

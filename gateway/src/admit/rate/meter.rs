//! One tenant's bucket at this gateway, and on what terms it fills.

use super::bucket::{Bucket, Flow};
use super::{Book, exceeded, nanoseconds, now};
use crate::counted::Counted;
use crate::error::Refusal;
use catalog_schema::RATE_WHOLE;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenancy::{Limits, TenantId};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long a request over HTTP waits for a share where the tenant has just come to this gateway, and what is heard of
/// when to come back while there is none. The catalog has answered long before.
const FIRST_SHARE_MAX: Duration = Duration::from_secs(1);

/// On what a tenant's share of its own rate rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// The catalog is being asked: until it has answered there is what the bucket held.
    #[default]
    Awaited,
    /// The catalog has given it, in parts of [`RATE_WHOLE`].
    Share(u32),
    /// The catalog could not be asked: an even part of the rate is each gateway's.
    Even,
}

impl Standing {
    /// What of the rate that is, among so many gateways, in parts of [`RATE_WHOLE`].
    #[must_use]
    pub fn in_force(self, gateways: u32) -> u32 {
        match self {
            Self::Awaited => 0,
            Self::Share(share) => share,
            Self::Even => RATE_WHOLE / gateways.max(1),
        }
    }
}

/// What one tenant may begin.
#[derive(Debug)]
pub struct Meter {
    tenant: TenantId,
    bucket: Bucket,
    /// Requests that have asked since it is in the book, and those that could not begin at once.
    asked: AtomicU64,
    held_up: AtomicU64,
    is_in_book: AtomicBool,
    terms: Mutex<Terms>,
    /// Rung when the terms have changed.
    changed: Notify,
    book: Arc<Book>,
}

#[derive(Debug, Clone, Copy)]
struct Terms {
    per_second: u32,
    burst: u32,
    standing: Standing,
}

impl Terms {
    /// What its plan and its standing come to among so many gateways. Each keeps its part of the burst, so that they
    /// let no more than one burst through together; one request at least.
    fn flow(self, gateways: u32) -> Flow {
        if self.per_second == 0 {
            return Flow::UNLIMITED;
        }
        Flow::of(self.per_second, self.standing.in_force(gateways), RATE_WHOLE, self.burst / gateways.max(1))
    }
}

/// What a tenant with a limit may still begin here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// Its rate over all gateways.
    pub per_second: u32,
    /// Its burst over all gateways.
    pub burst: u32,
    /// What of the rate is this gateway's, in parts of [`RATE_WHOLE`].
    pub share: u32,
    /// Requests that may begin at once.
    pub requests: u32,
    /// Until there are as many as there can be.
    pub full_in: Duration,
}

impl Meter {
    /// A tenant that has asked for nothing yet.
    #[must_use]
    pub fn new(tenant: TenantId, limits: &Limits, book: Arc<Book>) -> Self {
        let meter = Self {
            tenant,
            bucket: Bucket::default(),
            asked: AtomicU64::new(0),
            held_up: AtomicU64::new(0),
            is_in_book: AtomicBool::new(false),
            terms: Mutex::new(Terms { per_second: 0, burst: 0, standing: Standing::Awaited }),
            changed: Notify::new(),
            book,
        };
        meter.limit(limits);
        meter
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Has the tenant a rate at all?
    #[inline]
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.bucket.is_limited()
    }

    /// May a request begin now? It is taken from the bucket then.
    #[inline]
    #[must_use]
    pub fn takes(self: &Arc<Self>) -> bool {
        !self.bucket.is_limited() || self.takes_one()
    }

    #[cold]
    fn takes_one(self: &Arc<Self>) -> bool {
        self.note();
        let took = self.bucket.take(now()).is_ok();
        if !took {
            self.held_up.fetch_add(1, Ordering::Relaxed);
        }
        took
    }

    /// A request is to begin that cannot be refused: it is owed. `false` when as much is owed as may be; then it waits
    /// for [room](Self::room).
    #[must_use]
    pub fn owes(self: &Arc<Self>) -> bool {
        self.note();
        let has_room = self.bucket.owe(now()).is_ok();
        if !has_room {
            self.held_up.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Waits until one more request can be owed, for `wait_max` at most: then it begins all the same.
    pub async fn room(&self, wait_max: Duration) {
        let _waiting = Counted::new(&self.book.waiting);
        self.book.delayed.inc();
        let until = now().saturating_add(nanoseconds(wait_max));
        loop {
            let changed = self.changed.notified();
            let now = now();
            let left = until.saturating_sub(now);
            match self.bucket.owe(now) {
                Err(wait) if left > 0 => tokio::select! {
                    () = changed => {}
                    () = sleep(Duration::from_nanos(wait.min(left))) => {}
                },
                Ok(()) | Err(_) => return,
            }
        }
    }

    /// Waits until a request may begin that could not at once, for `wait_max` at most. Dropping the future leaves its
    /// turn to others.
    ///
    /// # Errors
    /// It may not by then.
    pub async fn passage(&self, wait_max: Duration) -> Result<(), Refusal> {
        let _waiting = Counted::new(&self.book.waiting);
        self.book.delayed.inc();
        let until = now().saturating_add(nanoseconds(wait_max));
        loop {
            // Made before the look, so that no change falls between the two.
            let changed = self.changed.notified();
            let now = now();
            let left = until.saturating_sub(now);
            match self.bucket.reserve(now, left) {
                Ok(wait) => {
                    let mut turn = Turn { bucket: &self.bucket, is_used: false };
                    tokio::select! {
                        biased;
                        () = sleep(Duration::from_nanos(wait)) => {
                            turn.is_used = true;
                            return Ok(());
                        }
                        // It may be its turn much sooner.
                        () = changed => {}
                    }
                }
                Err(wait) if left == 0 => return Err(self.refusal(Duration::from_nanos(wait))),
                Err(_) => tokio::select! {
                    () = changed => {}
                    () = sleep(Duration::from_nanos(left)) => {}
                },
            }
        }
    }

    /// May a request begin now, of somebody who does not wait?
    ///
    /// # Errors
    /// It may not, with the time to come back at.
    pub async fn take_at_once(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.takes() {
            return Ok(());
        }
        if self.standing() == Standing::Awaited {
            return self.passage(FIRST_SHARE_MAX).await;
        }
        let wait = self.bucket.take(now());
        wait.map_err(|wait| self.refusal(Duration::from_nanos(wait)))
    }

    /// What may still begin; `None` for a tenant without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<Remaining> {
        let terms = *self.terms();
        let (now, share) = (now(), terms.standing.in_force(self.book.gateways()));
        let full_in = Duration::from_nanos(self.bucket.missing(now));
        (terms.per_second > 0).then(|| Remaining {
            per_second: terms.per_second,
            burst: terms.burst,
            share,
            requests: self.bucket.remaining(now),
            // Without a share nothing flows in, but there will be one.
            full_in: if share > 0 { full_in } else { full_in.min(FIRST_SHARE_MAX) },
        })
    }

    /// Puts a plan's limits in force. What is this gateway's of the old rate is its part of the new one.
    pub fn limit(&self, limits: &Limits) {
        let burst = if limits.request_burst == 0 { limits.requests_per_second } else { limits.request_burst };
        let mut terms = self.terms();
        if (terms.per_second, terms.burst) != (limits.requests_per_second, burst) {
            (terms.per_second, terms.burst) = (limits.requests_per_second, burst);
            self.apply(*terms);
        }
    }

    /// Puts a share in force, and the number of gateways.
    pub fn stand(&self, standing: Standing) {
        let mut terms = self.terms();
        terms.standing = standing;
        self.apply(*terms);
    }

    /// On what its share rests now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.terms().standing
    }

    /// Requests that have asked since it came into the book, those of them that could not begin at once, and the rate.
    #[must_use]
    pub fn demand(&self) -> (u64, u64, u32) {
        let rate = self.terms().per_second;
        (self.asked.load(Ordering::Relaxed), self.held_up.load(Ordering::Relaxed), rate)
    }

    /// Its tenant asks for nothing any more: when it does, the catalog is asked again.
    pub fn leave_book(&self) {
        self.stand(Standing::Even);
        self.is_in_book.store(false, Ordering::Release);
    }

    /// Counts a request, and has the catalog asked about the first.
    fn note(self: &Arc<Self>) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.is_in_book.load(Ordering::Acquire) && !self.is_in_book.swap(true, Ordering::AcqRel) {
            // What it did before it was quiet says nothing of what it is going to do.
            self.asked.store(1, Ordering::Relaxed);
            self.held_up.store(0, Ordering::Relaxed);
            self.stand(Standing::Awaited);
            self.book.enter(Arc::clone(self));
        }
    }

    fn apply(&self, terms: Terms) {
        self.bucket.set(now(), terms.flow(self.book.gateways()));
        self.changed.notify_waiters();
    }

    fn refusal(&self, wait: Duration) -> Refusal {
        let terms = *self.terms();
        let has_share = terms.standing.in_force(self.book.gateways()) > 0;
        exceeded(terms.per_second, if has_share { wait } else { FIRST_SHARE_MAX })
    }

    fn terms(&self) -> std::sync::MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's turn, until it is used.
struct Turn<'a> {
    bucket: &'a Bucket,
    is_used: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_used { self.bucket.used() } else { self.bucket.give_back() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenancy::ErrorKind;

    fn meter(per_second: u32, burst: u32) -> Arc<Meter> {
        let limits = Limits { requests_per_second: per_second, request_burst: burst, ..Limits::STANDARD };
        Arc::new(Meter::new(TenantId::generate(), &limits, Arc::default()))
    }

    fn taken(meter: &Arc<Meter>) -> usize {
        (0..1_000).take_while(|_| meter.takes()).count()
    }

    #[test]
    fn a_tenant_without_a_rate_is_counted_nowhere() {
        let meter = meter(0, 5);
        assert_eq!(taken(&meter), 1_000);
        assert_eq!((meter.demand(), meter.remaining()), ((0, 0, 0), None));
        assert!(meter.book.newcomers().is_empty());
    }

    #[test]
    fn whoever_comes_first_has_its_part_of_the_burst_until_the_catalog_has_answered() {
        let meter = meter(1, 90);
        meter.book.alive(3);
        meter.stand(Standing::Even);
        assert_eq!(taken(&meter), 30);
        assert_eq!(meter.standing(), Standing::Awaited);
        assert_eq!(meter.book.newcomers().len(), 1, "once");
        assert_eq!(meter.demand(), (31, 1, 1));
        let remaining = meter.remaining().expect("it is limited");
        assert_eq!((remaining.per_second, remaining.burst, remaining.requests), (1, 90, 0));
        assert_eq!(remaining.full_in, FIRST_SHARE_MAX, "nobody is to stay away for hours");
    }

    #[test]
    fn a_plan_without_a_burst_has_a_second_of_it_and_one_that_is_lifted_binds_nobody() {
        let meter = meter(7, 0);
        assert_eq!(taken(&meter), 7);
        meter.limit(&Limits::STANDARD);
        assert_eq!(taken(&meter), 1_000);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_a_share_and_whoever_waits_in_vain_when_to_come_back() {
        let meter = meter(1_000, 1);
        assert!(meter.takes() && !meter.takes());
        let mut waiting = std::pin::pin!(meter.passage(Duration::from_secs(3_600)));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(meter.book.waiting.load(Ordering::Acquire), 1);
        meter.stand(Standing::Share(RATE_WHOLE));
        assert!(waiting.await.is_ok());
        assert_eq!(meter.book.waiting.load(Ordering::Acquire), 0);
        meter.limit(&Limits { requests_per_second: 1, request_burst: 1, ..Limits::STANDARD });
        while meter.takes() {}
        let refused = meter.passage(Duration::ZERO).await.expect_err("nothing is left");
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        assert!(refused.retry_pause().is_some_and(|pause| pause <= Duration::from_secs(1)), "{refused:?}");
    }

    #[tokio::test]
    async fn whoever_leaves_leaves_its_turn_to_others() {
        let meter = meter(1, 1);
        meter.stand(Standing::Share(RATE_WHOLE));
        assert!(meter.takes());
        meter.stand(Standing::Share(RATE_WHOLE));
        {
            let mut waiting = std::pin::pin!(meter.passage(Duration::from_secs(3_600)));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        let next = meter.bucket.reserve(now(), u64::MAX).expect("it waits");
        assert!(next <= 1_000_000_000, "the turn of who has left is free: {next}");
    }

    #[tokio::test]
    async fn whoever_owes_as_much_as_may_be_owed_waits_and_is_not_refused() {
        let meter = meter(10, 1);
        assert!(meter.takes());
        meter.stand(Standing::Share(RATE_WHOLE));
        let owed = (0..1_000).take_while(|_| meter.owes()).count();
        assert!((100..200).contains(&owed), "{owed} are owed");
        let mut waiting = std::pin::pin!(meter.room(Duration::from_secs(3_600)));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        waiting.await;
        while meter.owes() {}
        meter.room(Duration::ZERO).await;
    }
}

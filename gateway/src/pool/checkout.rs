//! From a wish to a lease: an idle connection now, or a place in the pool's queue.

use super::allocator::LongHold;
use super::cluster::too_many_long_holds;
use super::registry::route_changed;
use super::state::Answer;
use super::waiters::Ticket;
use super::{Lease, Pool};
use crate::admit::gate;
use crate::counted::Counted;
use crate::error::Refusal;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tenancy::ErrorKind;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// A pool may be retired while a client waits for it. The client then asks its successor, until it has asked
/// this many.
pub const POOLS_ASKED_MAX: usize = 5;

/// Whose client asks: those of one user wait in one line, and the lines of a pool are served in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(u64);

/// Why there is no connection.
#[derive(Debug)]
pub enum CheckoutError {
    /// The pool is no longer the one of its route, before or while the client waited: the route's new pool
    /// is to be asked. Nothing was sent to a server.
    Retired,
    /// An operator has closed the gate while the client waited: it is to wait there. Nothing was sent to a server.
    HeldBack,
    /// The client is to be told.
    Refused(Refusal),
}

impl From<Refusal> for CheckoutError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// For whoever does not ask again.
impl From<CheckoutError> for Refusal {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Retired => route_changed(),
            CheckoutError::HeldBack => gate::was_closed(),
            CheckoutError::Refused(refusal) => refusal,
        }
    }
}

impl Asker {
    /// The gateway itself, on behalf of all.
    pub const GATEWAY: Self = Self(0);

    /// Whoever has proved to be this, within its tenant: a name that a client may choose would give it as many lines as
    /// it can think of names. Two that hash alike share a line, which harms neither.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A place in the queue. Dropping it leaves the queue.
struct Queued<'a> {
    pool: &'a Arc<Pool>,
    ticket: Ticket<Asker>,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.pool.leave_queue(self.ticket);
    }
}

/// A lease on its way to whoever waits for it. If that has left, it goes to the next.
pub(super) struct Handed(Option<Lease>);

impl Handed {
    pub(super) fn new(lease: Lease) -> Self {
        Self(Some(lease))
    }

    fn take(mut self) -> Lease {
        self.0.take().expect("taken once, as this ends with it")
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            lease.give_on();
        }
    }
}

impl Pool {
    /// A connection, for which the client may have to wait. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// The queue is full, the wait too long, the cluster cannot be reached or refuses us, the pool is
    /// retired, or an operator holds the tenant back.
    pub async fn checkout(self: &Arc<Self>, asker: Asker) -> Result<Lease, CheckoutError> {
        if let Some(lease) = self.checkout_now() {
            return Ok(lease);
        }
        let asked = Instant::now();
        let outcome = timeout_at(self.deadline(asked), self.wait_for_lease(asker)).await;
        self.usage().checked_out(asked.elapsed());
        outcome.unwrap_or_else(|_elapsed| Err(self.too_slow().into()))
    }

    /// A connection, if one is idle and nobody waits for it.
    pub fn checkout_now(self: &Arc<Self>) -> Option<Lease> {
        let now = Instant::now();
        loop {
            let connection = self.take_idle()?;
            let mut lease = Lease::new(connection, Arc::clone(self), now);
            if lease.is_quiet(now) {
                lease.server().come_here();
                self.usage().checked_out(Duration::ZERO);
                return Some(lease);
            }
        }
    }

    /// A connection for a client in session mode, if one is idle, nobody waits for it, and it may be kept.
    pub fn checkout_for_session_now(self: &Arc<Self>) -> Option<Lease> {
        let permit = self.cluster().keep_long(self.member(), LongHold::Session)?;
        let mut lease = self.checkout_now()?;
        lease.keep_with(permit);
        Some(lease)
    }

    /// A connection for a client in session mode, which counts among those that are held for longer than a
    /// transaction. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// As for [`Pool::checkout`]; or as many are held in this way as may be, for as long as a client may wait.
    pub async fn checkout_for_session(self: &Arc<Self>, asker: Asker) -> Result<Lease, CheckoutError> {
        let (cluster, asked) = (Arc::clone(self.cluster()), Instant::now());
        let permit = match cluster.keep_long(self.member(), LongHold::Session) {
            Some(permit) => permit,
            None if self.is_retired() => return Err(CheckoutError::Retired),
            None => {
                let _counted = self.count_waiting_for_long_hold()?;
                let weight = self.limits().weight;
                let wait = cluster.keep_long_in_turn(self.member(), weight, LongHold::Session);
                let outcome = timeout_at(self.deadline(asked), wait).await;
                outcome.map_err(|_elapsed| too_many_long_holds())?.ok_or_else(|| self.nobody_answers())?
            }
        };
        let mut lease = self.checkout(asker).await?;
        lease.keep_with(permit);
        Ok(lease)
    }

    async fn wait_for_lease(self: &Arc<Self>, asker: Asker) -> Result<Lease, CheckoutError> {
        let mut is_first = false;
        loop {
            let mut queued = self.enter_queue(asker, is_first)?;
            let answer = (&mut queued.answer).await;
            let mut lease = answer.map_err(|_nobody_answers| CheckoutError::Retired)??.take();
            if lease.is_quiet(Instant::now()) {
                lease.server().come_here();
                return Ok(lease);
            }
            // It ended on the way. That is not this client's turn.
            is_first = true;
        }
    }

    fn enter_queue(self: &Arc<Self>, asker: Asker, is_first: bool) -> Result<Queued<'_>, CheckoutError> {
        let (sender, answer) = oneshot::channel();
        let ticket = self.locked(|pool| pool.enqueue(asker, sender, is_first))?;
        Ok(Queued { pool: self, ticket, answer })
    }

    /// Why nobody waits here any more.
    fn nobody_answers(&self) -> CheckoutError {
        if self.is_retired() { CheckoutError::Retired } else { CheckoutError::HeldBack }
    }

    fn leave_queue(self: &Arc<Self>, ticket: Ticket<Asker>) {
        self.locked(|pool| pool.dequeue(ticket));
    }

    /// Counts a client here, and among those of all the tenant's pools.
    pub(super) fn count_waiting_for_long_hold(&self) -> Result<[Counted<'_>; 2], Refusal> {
        let of_all = self.siblings().waiting_for_long_hold();
        let counted = [Counted::new(&self.waiting_for_long_hold), Counted::new(of_all)];
        if of_all.load(Ordering::Acquire) > self.limits().queue_limit {
            return Err(too_many_long_holds());
        }
        Ok(counted)
    }

    fn deadline(&self, asked: Instant) -> tokio::time::Instant {
        tokio::time::Instant::from_std(asked + self.limits().checkout_timeout())
    }

    fn too_slow(&self) -> Refusal {
        if let Some(trouble) = self.connector.logins().trouble() {
            return trouble;
        }
        Refusal::new(
            ErrorKind::CheckoutTimeout,
            format!("no server connection became free within {} ms", self.limits().checkout_timeout_ms),
        )
        .hint("the tenant or its cluster is busy: shorten transactions, or ask for a larger plan")
    }
}

/// What a client hears when as many wait as may.
pub(super) fn queue_full(limit: u32) -> Refusal {
    Refusal::new(ErrorKind::QueueFull, format!("{limit} clients already wait for a server connection"))
        .hint("try again in a moment; a larger plan has more connections and a longer queue")
}

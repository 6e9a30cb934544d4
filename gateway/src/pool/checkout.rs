//! From a wish to a lease: slot, then connection.

use super::breaker::Attempt;
use super::budget::Counted;
use super::registry::route_changed;
use super::{Lease, Pool};
use crate::connect::ConnectError;
use crate::error::Refusal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::ErrorKind;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

/// A pool may be retired while a client waits for it. The client then asks its successor, until it has asked
/// this many.
pub const POOLS_ASKED_MAX: usize = 5;

/// Why there is no connection.
#[derive(Debug)]
pub enum CheckoutError {
    /// The pool is no longer the one of its route, before or while the client waited: the route's new pool
    /// is to be asked. Nothing was sent to a server.
    Retired,
    /// The client is to be told.
    Refused(Refusal),
}

impl From<Refusal> for CheckoutError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// For whoever does not ask the new pool.
impl From<CheckoutError> for Refusal {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Retired => route_changed(),
            CheckoutError::Refused(refusal) => refusal,
        }
    }
}

impl Pool {
    /// A connection, for which the client may have to wait. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// The queue is full, the wait too long, the cluster cannot be reached or refuses us, or the pool is
    /// retired.
    pub async fn checkout(self: &Arc<Self>) -> Result<Lease, CheckoutError> {
        if let Some(lease) = self.checkout_now() {
            return Ok(lease);
        }
        let asked = Instant::now();
        let waiting = self.enter_queue()?;
        let deadline = tokio::time::Instant::from_std(asked + self.limits.checkout_timeout());
        let outcome = timeout_at(deadline, self.wait_for_lease()).await;
        drop(waiting);
        self.usage().checked_out(asked.elapsed());
        outcome.unwrap_or_else(|_elapsed| Err(self.too_slow().into()))
    }

    /// A connection, if one is idle and nobody waits for it.
    pub fn checkout_now(self: &Arc<Self>) -> Option<Lease> {
        if self.waiting() > 0 {
            return None;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let lease = self.take_good_idle(slot).ok()?;
        self.usage().checked_out(Duration::ZERO);
        Some(lease)
    }

    fn enter_queue(&self) -> Result<Counted<'_>, Refusal> {
        let counted = Counted::new(&self.waiting);
        if self.waiting() > self.limits.queue_limit {
            return Err(Refusal::new(
                ErrorKind::QueueFull,
                format!("{} clients already wait for a server connection", self.limits.queue_limit),
            )
            .hint("try again in a moment; a larger plan has more connections and a longer queue"));
        }
        Ok(counted)
    }

    async fn wait_for_lease(self: &Arc<Self>) -> Result<Lease, CheckoutError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let mut slot = slot.map_err(|_closed| CheckoutError::Retired)?;
        loop {
            // Made before the look, so that no retirement falls between the two.
            let returned = self.returned.notified();
            if self.is_retired() {
                return Err(CheckoutError::Retired);
            }
            match self.take_good_idle(slot) {
                Ok(lease) => return Ok(lease),
                Err(unused) => slot = unused,
            }
            let way = async {
                // No permit is held back while there is no use in connecting.
                let attempt = self.connector.logins().turn(|| self.holds_any()).await;
                let attempt = attempt.inspect_err(|_| self.connector.logins().refused())?;
                Ok::<_, Refusal>((self.cluster.permit().await, attempt))
            };
            let (permit, attempt) = tokio::select! {
                biased;
                () = returned => continue,
                way = way => way?,
            };
            if self.is_retired() {
                return Err(CheckoutError::Retired);
            }
            slot = self.open(permit, attempt, slot).await?;
        }
    }

    /// Opens a connection and adds it to the idle ones. Runs to its end even if the client that wanted it
    /// leaves: a login under way is seen by the server whether or not anybody waits for it. The slot stays
    /// taken as long, or clients that come and go could have more opened than the pool may hold.
    async fn open(
        self: &Arc<Self>,
        permit: super::ConnectPermit,
        attempt: Attempt,
        slot: OwnedSemaphorePermit,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        let pool = Arc::clone(self);
        let opened = tokio::spawn(async move {
            let _counted = Counted::new(&pool.opening);
            let Some(attempt) = attempt.begin().await else { return Ok(slot) };
            match pool.connector.connect(permit).await {
                Ok(connection) => {
                    attempt.succeeded();
                    pool.add(connection);
                    Ok(slot)
                }
                Err(error) => {
                    pool.log_failure(&error);
                    let refusal = attempt.failed(&error).filter(|_| !pool.holds_any());
                    // Otherwise whoever waits goes on waiting, and another login is tried in time.
                    refusal.map_or(Ok(slot), Err)
                }
            }
        });
        match opened.await {
            Ok(outcome) => outcome,
            Err(_panicked) => Err(Refusal::new(ErrorKind::Internal, "the connection attempt failed")),
        }
    }

    /// An idle connection on which nothing has happened since it was put back; others are closed.
    fn take_good_idle(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> Result<Lease, OwnedSemaphorePermit> {
        while let Some(mut claimed) = self.idle.take() {
            if claimed.is_quiet() && !self.is_retired() {
                claimed.come_here();
                return Ok(Lease::new(claimed, Arc::clone(self), slot));
            }
        }
        Err(slot)
    }

    /// Does it have a connection that those who wait can hope for?
    fn holds_any(&self) -> bool {
        self.idle() + self.leased() > 0
    }

    fn log_failure(&self, error: &ConnectError) {
        let cluster = self.cluster.record();
        tracing::warn!(cluster = %cluster.name, %error, "could not open a server connection");
    }

    fn too_slow(&self) -> Refusal {
        if let Some(trouble) = self.connector.logins().trouble() {
            return trouble;
        }
        Refusal::new(
            ErrorKind::CheckoutTimeout,
            format!("no server connection became free within {} ms", self.limits.checkout_timeout_ms),
        )
        .hint("the tenant or its cluster is busy: shorten transactions, or ask for a larger plan")
    }
}

//! A server connection that is checked out.

use super::Pool;
use super::servers::Server;
use crate::connect::ServerConnection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// While others wait for the cluster's budget, a connection serves its own pool for this long before it
/// makes room for theirs. Opening one costs some milliseconds, so that shorter turns would spend the
/// server on logins.
const TURN: Duration = Duration::from_millis(50);

/// A connection for one transaction or one session.
///
/// Dropping a lease closes the connection: only [`Lease::release`] returns it.
pub struct Lease {
    connection: Option<Box<ServerConnection>>,
    pool: Arc<Pool>,
    /// When, after the pool was made.
    taken: Duration,
    /// Given back last, so that whoever gets it next finds the connection idle.
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(
        connection: Box<ServerConnection>,
        pool: Arc<Pool>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        // Whoever closes a tenant's gate looks at this number afterwards; whoever takes a lease looks at the gate.
        pool.leased.fetch_add(1, Ordering::SeqCst);
        let taken = pool.touch();
        if let Some(server) = connection.listed() {
            server.taken(taken);
        }
        Self { connection: Some(connection), pool, taken, _slot: slot }
    }

    /// The connection.
    pub fn server(&mut self) -> &mut ServerConnection {
        self.connection.as_mut().expect("taken only when the lease ends")
    }

    /// The pool that the connection belongs to.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Returns the connection, which the caller has proved to be idle, in sync and clean. It is closed all
    /// the same when its route has changed, when an operator wants it closed, or when others have waited for
    /// their turn.
    pub fn release(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let budget = self.pool.cluster.budget();
        let yields = budget.excess() > 0 || (budget.waiting() > 0 && connection.age() >= TURN);
        let is_unwanted = connection.listed().is_some_and(Server::close_needed);
        if !self.pool.is_retired() && !yields && !is_unwanted {
            connection.mark_idle();
            if let Some(server) = connection.listed() {
                server.given_back();
            }
            self.pool.put_idle(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Dropped after it was returned, or else closed.
        drop(self.connection.take());
        self.pool.leased.fetch_sub(1, Ordering::AcqRel);
        let held = self.pool.touch().saturating_sub(self.taken);
        self.pool.usage().leased_us.add(u64::try_from(held.as_micros()).unwrap_or(u64::MAX));
    }
}

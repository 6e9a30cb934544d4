//! A server connection that is checked out.

use super::Pool;
use super::tenant_pool::Claimed;
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
    connection: Option<Claimed>,
    pool: Arc<Pool>,
    /// Given back last, so that whoever gets it next finds the connection idle.
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(connection: Claimed, pool: Arc<Pool>, slot: OwnedSemaphorePermit) -> Self {
        pool.leased.fetch_add(1, Ordering::AcqRel);
        pool.touch();
        Self { connection: Some(connection), pool, _slot: slot }
    }

    /// The connection.
    pub fn server(&mut self) -> &mut ServerConnection {
        &mut self.connection.as_mut().expect("taken only when the lease ends").0
    }

    /// The pool that the connection belongs to.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Returns the connection, which the caller has proved to be idle, in sync and clean. It is closed all
    /// the same when its route has changed, or when others have waited for their turn.
    pub fn release(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let yields = self.pool.cluster.budget().waiting() > 0 && connection.0.age() >= TURN;
        if self.pool.is_retired() || yields {
            connection.0.condemn();
            drop(connection);
        } else {
            connection.0.mark_idle();
            self.pool.put_idle(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.0.condemn();
        }
        self.pool.leased.fetch_sub(1, Ordering::AcqRel);
        self.pool.touch();
    }
}

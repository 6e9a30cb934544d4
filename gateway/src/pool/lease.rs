//! A server connection that is checked out.

use super::allocator::LongHold;
use super::permit::LongPermit;
use super::{Pool, cluster};
use crate::connect::ServerConnection;
use crate::error::Refusal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::{Access, ErrorKind};

/// A connection for one transaction or one session.
///
/// Dropping a lease closes the connection: only [`Lease::release`] returns it.
pub struct Lease {
    connection: Option<Box<ServerConnection>>,
    pool: Arc<Pool>,
    /// When, after the pool was made.
    taken: Duration,
    /// It is held for longer than a transaction.
    long: Option<LongPermit>,
}

impl Lease {
    /// The pool has counted it.
    pub(super) fn new(connection: Box<ServerConnection>, pool: Arc<Pool>, now: Instant) -> Self {
        let taken = pool.touch(now);
        if let Some(server) = connection.listed() {
            server.taken(taken);
        }
        Self { connection: Some(connection), pool, taken, long: None }
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

    /// What its connection's role may do.
    #[must_use]
    pub fn access(&self) -> Access {
        self.pool.access()
    }

    /// It was taken for a client that may do something else. That does not happen; if it ever did, the client would get
    /// nothing and the connection would go.
    #[must_use]
    pub fn of_another_access(self) -> Refusal {
        tracing::error!(access = %self.access(), "a connection of another access was refused to a client");
        Refusal::new(ErrorKind::Internal, "no server connection of the right kind")
    }

    /// Is it counted among those that are held for longer than a transaction?
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// The connection is kept for longer than a transaction from now on, until the lease ends. Counted once.
    ///
    /// # Errors
    /// As many of the cluster's connections are kept as may be: this one has to be given up.
    pub fn keep_long(&mut self, kind: LongHold) -> Result<(), Refusal> {
        match &mut self.long {
            Some(long) if long.kind() == kind => {}
            Some(long) => {
                if !long.change_kind(kind) {
                    return Err(cluster::too_many_long_holds());
                }
            }
            None => {
                let permit = self.pool.cluster().keep_long(self.pool.member(), kind);
                self.long = Some(permit.ok_or_else(cluster::too_many_long_holds)?);
            }
        }
        Ok(())
    }

    /// The same with a permit that is there.
    pub fn keep_with(&mut self, permit: LongPermit) {
        self.long = Some(permit);
    }

    /// Returns the connection, which the caller has proved to be idle, in sync and clean. It is closed all
    /// the same when its route has changed, when an operator wants it closed, when it is too old, or when it is others'
    /// turn.
    pub fn release(mut self) {
        self.long = None;
        let Some(connection) = self.connection.take() else { return };
        let now = Instant::now();
        self.count(now);
        self.pool.give_back(connection, now);
    }

    /// It goes to somebody else, as it is: whoever it was handed to has left.
    pub(super) fn give_on(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.give_back(connection, Instant::now());
        }
    }

    /// Looks whether the connection is still good.
    pub(super) fn is_quiet(&mut self, now: Instant) -> bool {
        self.server().is_quiet(now)
    }

    fn count(&self, now: Instant) {
        let held = self.pool.touch(now).saturating_sub(self.taken);
        self.pool.usage().leased_us.add(u64::try_from(held.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.long = None;
        if let Some(connection) = self.connection.take() {
            let now = Instant::now();
            self.count(now);
            self.pool.lose(connection);
        }
    }
}

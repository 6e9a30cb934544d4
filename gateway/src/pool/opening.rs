//! Opening connections, for whoever waits.
//!
//! The pool opens them, not its clients: as many as are waited for and allowed, one at a time while it has none. A
//! login runs to its end even if nobody waits any more: the server sees it whether or not anybody does. What fails,
//! fails for all who wait for it.

use super::Pool;
use super::breaker::Attempt;
use super::permit::ConnectPermit;
use super::servers::Purpose;
use super::state::Begin;
use crate::connect::{ConnectError, ServerConnection};
use std::sync::Arc;
use std::time::Instant;

/// A login under way. Dropped without a connection, it was none.
struct Opening {
    pool: Option<Arc<Pool>>,
}

impl Pool {
    /// The cluster's budget has one more connection for the pool.
    pub(super) fn granted(self: &Arc<Self>, permit: ConnectPermit) {
        match self.locked(|pool| pool.granted(permit)) {
            Some(Begin::Login(permit, attempt, runtime)) => {
                let opening = Opening { pool: Some(Arc::clone(self)) };
                runtime.spawn(open(opening, permit, attempt));
            }
            Some(Begin::Wait(runtime)) => {
                runtime.spawn(wait_until_logins_may_be_tried(Arc::clone(self)));
            }
            None => {}
        }
    }

    /// Takes over a connection that was just opened.
    fn take_over(self: &Arc<Self>, mut connection: ServerConnection) -> Box<ServerConnection> {
        self.welcomes().logged_in(&connection.parameters);
        connection.list(self.cluster().servers(), |address, local, process_id, is_encrypted| Purpose {
            usage: Arc::clone(self.usage()),
            clock: self.created,
            database: self.key().database.clone(),
            role: self.key().role.clone(),
            address,
            local,
            process_id,
            is_encrypted,
        });
        Box::new(connection)
    }

    /// The same for one that nobody has waited for.
    #[cfg(test)]
    pub(super) fn add(self: &Arc<Self>, connection: ServerConnection) {
        let connection = self.take_over(connection);
        self.opening.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        self.locked(|pool| pool.opened(connection, Instant::now()));
    }
}

/// One attempt, from its beginning to what came of it.
async fn open(mut opening: Opening, permit: ConnectPermit, attempt: Attempt) {
    let Some(pool) = opening.pool.clone() else { return };
    let Some(attempt) = attempt.begin().await else { return };
    match pool.connector.connect(permit).await {
        Ok(connection) => {
            attempt.succeeded();
            opening.succeeded(connection);
        }
        Err(error) => opening.failed(&error, attempt),
    }
}

/// Nothing is opened until then, and nobody else's connection closed for it.
async fn wait_until_logins_may_be_tried(pool: Arc<Pool>) {
    let logins = Arc::clone(pool.connector.logins());
    loop {
        match logins.turn(|| pool.locked(|pool| pool.holds_any())).await {
            Ok(attempt) => return pool.locked(|pool| pool.may_log_in(attempt)),
            Err(refusal) if pool.locked(|pool| pool.refuse_if_hopeless(&refusal)) => return,
            Err(_there_is_a_connection_after_all) => {}
        }
    }
}

impl Opening {
    fn succeeded(&mut self, connection: ServerConnection) {
        if let Some(pool) = self.pool.take() {
            let connection = pool.take_over(connection);
            pool.locked(|pool| pool.opened(connection, Instant::now()));
        }
    }

    /// Whoever waits is refused where there is nothing to hope for, and goes on waiting otherwise: another login is
    /// tried in time.
    fn failed(&mut self, error: &ConnectError, attempt: Attempt) {
        let Some(pool) = self.pool.take() else { return };
        let cluster = pool.cluster().record();
        tracing::warn!(cluster = %cluster.name, %error, "could not open a server connection");
        let refusal = attempt.failed(error);
        pool.locked(|pool| {
            if let Some(refusal) = refusal {
                pool.refuse_if_hopeless(&refusal);
            }
            pool.not_opened();
        });
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.locked(|pool| pool.not_opened());
        }
    }
}

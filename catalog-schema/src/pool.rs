//! Connections to the catalog: few, lazily made, and never waited for longer than seconds.
//!
//! `bb8` by itself lets callers wait out its whole timeout while every attempt to connect fails, and
//! tells them only that time ran out. Here the reason of a failed attempt reaches whoever waits, at once.

use crate::error::CatalogError;
use crate::session::Session;
use bb8_postgres::PostgresConnectionManager;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tenancy::Secret;
use tokio::sync::watch;
use tokio_postgres::{Client, Config, NoTls};

/// A login that takes longer has failed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a caller waits for a connection that others are using.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection whose peer has silently gone is noticed after about this long.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// Set on the server for every connection: a lost client must not keep its locks, and no statement
/// may outlast the caller's patience. Milliseconds. Nothing is left to the defaults of the server or the
/// database that would change what a statement sees.
const SERVER_SETTINGS: &str = "-c statement_timeout=5000 -c lock_timeout=3000 \
     -c idle_in_transaction_session_timeout=15000 -c default_transaction_isolation=read\\ committed";

/// One connection, and whether it may be used again.
pub(crate) struct Link {
    pub(crate) client: Client,
    /// Set while a statement runs. One that is abandoned leaves it set, and the connection is closed
    /// rather than handed to the next caller behind an unfinished statement.
    pub(crate) busy: AtomicBool,
}

/// Why `bb8` was told of an error. Only the first kind is news to whoever waits for a connection.
#[derive(Debug)]
pub(crate) enum Failure {
    Connect(CatalogError),
    Stale,
}

pub(crate) struct Manager(PostgresConnectionManager<NoTls>);

impl bb8::ManageConnection for Manager {
    type Connection = Link;
    type Error = Failure;

    async fn connect(&self) -> Result<Link, Failure> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.0.connect()).await {
            Ok(Ok(client)) => Ok(Link { client, busy: AtomicBool::new(false) }),
            Ok(Err(error)) => Err(Failure::Connect(error.into())),
            Err(_) => Err(Failure::Connect(CatalogError::unavailable("the login took too long"))),
        }
    }

    // No round trip: a statement that meets a connection which died unnoticed is retried where that is safe.
    async fn is_valid(&self, link: &mut Link) -> Result<(), Failure> {
        if self.has_broken(link) { Err(Failure::Stale) } else { Ok(()) }
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.client.is_closed() || link.busy.load(Ordering::Relaxed)
    }
}

/// Passes the reason of a failed connection on to whoever waits for one.
#[derive(Debug, Clone)]
struct Failures(Arc<watch::Sender<Option<CatalogError>>>);

impl bb8::ErrorSink<Failure> for Failures {
    fn sink(&self, failure: Failure) {
        if let Failure::Connect(error) = failure {
            self.0.send_replace(Some(error));
        }
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Failure>> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
pub(crate) struct Pool {
    connections: bb8::Pool<Manager>,
    failures: Failures,
}

impl Pool {
    /// Opens nothing yet. Must be called inside a tokio runtime, which reaps idle connections.
    pub(crate) fn new(config: Config, size: u32) -> Self {
        let failures = Failures(Arc::new(watch::Sender::new(None)));
        let connections = bb8::Pool::builder()
            .max_size(size.max(1))
            .min_idle(None)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(CHECKOUT_TIMEOUT + CONNECT_TIMEOUT)
            .error_sink(Box::new(failures.clone()))
            .build_unchecked(Manager(PostgresConnectionManager::new(config, NoTls)));
        Self { connections, failures }
    }

    /// A connection, once one is free. Fails as soon as an attempt to connect fails while there is no
    /// other connection to wait for.
    pub(crate) async fn session(&self) -> Result<Session, CatalogError> {
        let mut failures = self.failures.0.subscribe();
        let get = self.connections.get_owned();
        tokio::pin!(get);
        loop {
            tokio::select! {
                biased;
                got = &mut get => {
                    return match got {
                        Ok(link) => Ok(Session::new(link)),
                        Err(bb8::RunError::User(Failure::Connect(error))) => Err(error),
                        Err(bb8::RunError::User(Failure::Stale)) => {
                            Err(CatalogError::unavailable("the connection was lost"))
                        }
                        Err(bb8::RunError::TimedOut) => {
                            Err(CatalogError::unavailable("no connection became free in time"))
                        }
                    };
                }
                Ok(()) = failures.changed() => {
                    let failure = failures.borrow_and_update().clone();
                    if let (0, Some(error)) = (self.connections.state().connections, failure) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// The connection string with the bounds that every connection of ours has.
pub(crate) fn connection_config(dsn: &Secret, purpose: &str) -> Result<Config, CatalogError> {
    let mut config: Config = dsn.expose().parse().map_err(|_| CatalogError::BadDsn)?;
    let options = match config.get_options() {
        Some(given) => format!("{given} {SERVER_SETTINGS}"),
        None => SERVER_SETTINGS.to_owned(),
    };
    config
        .options(options)
        .application_name(format!("tenantry {purpose}"))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    Ok(config)
}

//! Connections to the catalog: few, lazily made, and never waited for longer than seconds.
//!
//! `bb8` by itself lets callers wait out its whole timeout while every attempt to connect fails, and
//! tells them only that time ran out. Here the reason of a failed attempt reaches whoever waits, at once.

use crate::error::CatalogError;
use crate::session::Session;
use crate::way::{CONNECT_TIMEOUT, Way};
use bb8_postgres::PostgresConnectionManager;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a caller waits for a connection that others are using.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(3);

/// One connection, and whether it may be used again.
pub(crate) struct Link {
    pub(crate) client: Client,
    /// Set while a statement runs. One that is abandoned leaves it set, and the connection is closed
    /// rather than handed to the next caller behind an unfinished statement.
    pub(crate) busy: AtomicBool,
    /// What it has prepared: statements that take PostgreSQL longer to plan than to carry out.
    pub(crate) prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl Link {
    fn new(client: Client) -> Self {
        Self { client, busy: AtomicBool::new(false), prepared: Mutex::default() }
    }
}

/// Why `bb8` was told of an error. Only the first kind is news to whoever waits for a connection.
#[derive(Debug)]
pub(crate) enum Failure {
    Connect(CatalogError),
    Stale,
}

pub(crate) struct Manager {
    connector: Arc<PostgresConnectionManager<MakeRustlsConnect>>,
    /// Where connections live, whoever is the first to need one: its thread may have better things to do.
    runtime: Handle,
}

impl bb8::ManageConnection for Manager {
    type Connection = Link;
    type Error = Failure;

    async fn connect(&self) -> Result<Link, Failure> {
        let connector = Arc::clone(&self.connector);
        let login = self
            .runtime
            .spawn(async move { tokio::time::timeout(CONNECT_TIMEOUT, connector.connect()).await });
        match login.await {
            Ok(Ok(Ok(client))) => Ok(Link::new(client)),
            Ok(Ok(Err(error))) => Err(Failure::Connect(error.into())),
            Ok(Err(_)) => Err(Failure::Connect(CatalogError::unavailable("the login took too long"))),
            Err(_) => Err(Failure::Connect(CatalogError::unavailable("the process is ending"))),
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
    /// Opens nothing yet. Must be called inside a tokio runtime, which keeps the connections and reaps idle ones.
    pub(crate) fn new(way: Way, size: u32) -> Self {
        let failures = Failures(Arc::new(watch::Sender::new(None)));
        let connections = bb8::Pool::builder()
            .max_size(size.max(1))
            .min_idle(None)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(CHECKOUT_TIMEOUT + CONNECT_TIMEOUT)
            .error_sink(Box::new(failures.clone()))
            .build_unchecked(Manager {
                connector: Arc::new(PostgresConnectionManager::new(way.config, way.tls)),
                runtime: Handle::current(),
            });
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

//! One connection to a cluster, on which no wait is without an end.

use super::error::PostgresError;
use super::guard::{Guarded, Secured};
use super::transport::Address;
use std::time::Duration;
use tenancy::Secret;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

/// How long a server may take to answer a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one statement may run. `DROP DATABASE` waits for a checkpoint, and one of 52 s was seen after
/// a burst of creations; a statement beyond this is given up and tried again.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(300);

/// Grace after the server's own time-out, in case it is the network that hangs and not the statement.
const STATEMENT_GRACE: Duration = Duration::from_secs(10);

/// How long a statement may wait for a lock before it is given up and tried again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a session may lie idle. A process that is stopped, not dead, must not keep the DDL lock: the server
/// ends its session, and whoever kept one that has ended opens another.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a connection is opened with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) address: Address<'a>,
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
    pub(super) database: &'a str,
}

/// An open connection. Dropping it closes the socket, and with it every lock that it held.
pub(crate) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    address: String,
}

impl Session {
    /// Connects and logs in.
    pub(super) async fn open(login: Login<'_>) -> Result<Self, PostgresError> {
        let address = login.address.to_string();
        let connecting = async {
            let stream = Guarded::new(login.address.connect().await?);
            let connected = configuration(login).connect_raw(stream, Secured).await;
            connected.map_err(|error| PostgresError::from_connect(&address, &error))
        };
        let late = || PostgresError::Unreachable { address: address.clone(), reason: "timed out".to_owned() };
        let (client, connection) = timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late())??;
        // The task ends when the client is dropped or the connection breaks; statements report the latter.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, connection, address })
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Has the connection ended?
    pub(crate) fn closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs one statement, or several separated by semicolons as one implicit transaction.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), PostgresError> {
        self.bounded(self.client.batch_execute(sql)).await
    }

    /// Runs a query for all its rows; only for queries whose answer is small.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        self.bounded(self.client.query(sql, parameters)).await
    }

    /// Runs a query for at most one row.
    pub(super) async fn query_opt(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, PostgresError> {
        self.bounded(self.client.query_opt(sql, parameters)).await
    }

    /// Runs a query for exactly one row.
    pub(super) async fn query_one(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, PostgresError> {
        self.bounded(self.client.query_one(sql, parameters)).await
    }

    async fn bounded<T>(
        &self,
        running: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        timeout(STATEMENT_TIMEOUT + STATEMENT_GRACE, running)
            .await
            .map_err(|_| PostgresError::TimedOut { address: self.address.clone() })?
            .map_err(|error| PostgresError::from_driver(&self.address, &error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// `search_path` is pinned so that nothing a tenant left in its schemas can stand in for a function or
/// operator of the system while an admin session is in its database.
fn configuration(login: Login<'_>) -> tokio_postgres::Config {
    let mut configuration = tokio_postgres::Config::new();
    configuration
        // The connection is what it is to be before the driver gets it; "direct" has it ask for nothing.
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .user(login.user)
        .dbname(login.database)
        .application_name("tenantry-control-plane")
        .options(format!(
            "-c search_path=pg_catalog -c standard_conforming_strings=on -c jit=off -c statement_timeout={} -c lock_timeout={} -c idle_session_timeout={}",
            STATEMENT_TIMEOUT.as_millis(),
            LOCK_TIMEOUT.as_millis(),
            IDLE_TIMEOUT.as_millis(),
        ));
    if !login.password.expose().is_empty() {
        configuration.password(login.password.expose());
    }
    configuration
}

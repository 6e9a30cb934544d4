//! The way to the catalog, as its connection string has it: the address, TLS, and bounds that every connection of ours
//! has.

use crate::error::CatalogError;
use net::dsn::{TlsWords, without_tls};
use net::tls::{ServerTlsSettings, roots};
use rustls::RootCertStore;
use std::time::Duration;
use tenancy::{Secret, TlsMode};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A login that takes longer has failed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection whose peer has silently gone is noticed after about this long.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// Set on the server for every connection: a lost client must not keep its locks, and no statement
/// may outlast the caller's patience. Milliseconds. Nothing is left to the defaults of the server or the
/// database that would change what a statement sees. What we ask takes a millisecond, and PostgreSQL takes a hundred to
/// compile it where it thinks that there may be more rows than there are.
const SERVER_SETTINGS: &str = "-c statement_timeout=5000 -c lock_timeout=3000 \
     -c idle_in_transaction_session_timeout=15000 -c default_transaction_isolation=read\\ committed \
     -c jit=off";

/// Stands in `sslrootcert` for the authorities that the system trusts, as with libpq.
const SYSTEM: &str = "system";

/// What does the work of a connection.
pub(crate) type Link = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// How to connect.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

impl Way {
    /// Reads the connection string, and the file that it may name. `purpose` shows in `pg_stat_activity`.
    pub(crate) fn read(dsn: &Secret, purpose: &str) -> Result<Self, CatalogError> {
        let (rest, words) =
            without_tls(dsn.expose()).map_err(|why| CatalogError::bad_dsn(why.to_string()))?;
        let mut config: Config =
            Secret::new(rest).expose().parse().map_err(|_| CatalogError::bad_dsn("it cannot be read"))?;
        let options = match config.get_options() {
            Some(given) => format!("{given} {SERVER_SETTINGS}"),
            None => SERVER_SETTINGS.to_owned(),
        };
        let mode = words.mode.unwrap_or(TlsMode::Disable);
        config
            .ssl_mode(if mode == TlsMode::Disable { SslMode::Disable } else { SslMode::Require })
            .options(options)
            .application_name(format!("tenantry {purpose}"))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        Ok(Self { config, tls: tls(mode, &words)? })
    }

    /// Connects. The connection ends with the client.
    pub(crate) async fn connect(&self) -> Result<(Client, Link), CatalogError> {
        let connecting = timeout(CONNECT_TIMEOUT, self.config.connect(self.tls.clone())).await;
        Ok(connecting.map_err(|_| CatalogError::unavailable("the login took too long"))??)
    }
}

/// Where TLS is off this trusts nobody, and nobody is asked.
fn tls(mode: TlsMode, words: &TlsWords) -> Result<MakeRustlsConnect, CatalogError> {
    let ca = match words.ca_file.as_deref().filter(|file| *file != SYSTEM) {
        Some(file) => {
            let unreadable = |why: std::io::Error| {
                CatalogError::bad_dsn(format!("the file that its sslrootcert names cannot be read: {why}"))
            };
            Some(std::fs::read_to_string(file).map_err(unreadable)?)
        }
        None => None,
    };
    let verifies = matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
    let system = if verifies && ca.is_none() { roots::of_the_system() } else { RootCertStore::empty() };
    let mode = if mode == TlsMode::Disable { TlsMode::VerifyFull } else { mode };
    let config = ServerTlsSettings::new(system)
        .config(mode, ca.as_deref())
        .map_err(|why| CatalogError::bad_dsn(format!("its sslrootcert is of no use: {why}")))?;
    Ok(MakeRustlsConnect::new((*config).clone()))
}

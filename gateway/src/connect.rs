//! Opening a connection to a tenant's server, and what the gateway knows of one that is open.
//!
//! The server has to prove itself as the client does: SCRAM shows that it knows the role's secret, and
//! [`identity`] compares its database, system identifier and tenant marker with the catalog. A wrong
//! DSN, a recycled address or a restore to the wrong host is refused, never used.

pub mod blame;
pub mod cancel;
pub mod close;
mod encrypt;
pub mod identity;
pub mod login;
mod refused;
pub mod server;
mod session_defaults;

pub use blame::Blame;
pub use cancel::CancelTarget;
pub use login::Connector;
pub use server::ServerConnection;
pub use session_defaults::SessionDefaults;

use crate::error::Refusal;
use std::io;
use tenancy::ErrorKind;

/// Why a server connection could not be opened or used. For logs: what a client may see of it is
/// [`ConnectError::refusal`].
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The network said no, or the connection broke.
    #[error("the server cannot be reached")]
    Io(#[from] io::Error),
    /// The login took longer than `connect_timeout_ms`.
    #[error("the server did not complete the login in time")]
    Timeout,
    /// The server answered with an error.
    #[error("the server refused the login with SQLSTATE {code}: {message}")]
    Refused {
        /// The server's SQLSTATE.
        code: String,
        /// The server's words, cut short and without control characters; not shown to clients, which are
        /// strangers to the role that logged in.
        message: String,
    },
    /// The limit of connections of the tenant's own role or database is reached: the server has room for others.
    #[error("the tenant's role or database takes no more connections: {message}")]
    TenantsLimit {
        /// As for [`ConnectError::Refused`].
        message: String,
    },
    /// The role's keys are not those that the server has a verifier of: they have been changed, or the role has been
    /// given a password, or is gone.
    #[error("the server has other keys of the role than the route")]
    KeysOutdated,
    /// The server does not speak TLS where its cluster's settings ask for it.
    #[error("the connection does not become encrypted: {0}")]
    NotEncrypted(String),
    /// TLS broke off, or the server is not who the cluster's settings say.
    #[error("TLS with the server failed: {0}")]
    Tls(#[source] io::Error),
    /// The cluster's TLS settings are of no use.
    #[error("the cluster's TLS settings cannot be used: {0}")]
    TlsSettings(String),
    /// Something that is no PostgreSQL, or that would not prove that it knows the secret.
    #[error("the server did not follow the login protocol: {0}")]
    Protocol(String),
    /// It is PostgreSQL, but not the database that the catalog means.
    #[error("the server is not the one in the catalog: {0}")]
    Mismatch(String),
    /// It is another server than the catalog means, whatever it is called.
    #[error("the server is not the cluster's: {0}")]
    WrongServer(String),
    /// It is a standby of the cluster, or a primary that has been demoted.
    #[error("the server is in recovery, where the cluster's primary is meant")]
    Standby,
    /// The connection was closed by the server while it was idle.
    #[error("the server closed the connection")]
    Lost,
}

impl ConnectError {
    /// What a client is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Io(_) | Self::Timeout | Self::Lost => {
                Refusal::new(ErrorKind::ClusterUnavailable, "the tenant's cluster cannot be reached")
                    .hint("try again in a moment")
            }
            Self::Standby => Refusal::new(
                ErrorKind::ClusterUnavailable,
                "the server at the address of the tenant's cluster is a standby",
            )
            .hint("try again when it has been promoted, or when its cluster's address has changed"),
            Self::Refused { code, .. } => refused(code),
            Self::TenantsLimit { .. } => Refusal::new(
                ErrorKind::ClusterFull,
                "the tenant's database or its role takes no more connections",
            )
            .hint("its limit is spent, also by connections that do not come through this gateway"),
            Self::KeysOutdated | Self::Protocol(_) => no_login(),
            Self::NotEncrypted(_) | Self::Tls(_) | Self::TlsSettings(_) => Refusal::new(
                ErrorKind::ClusterUnavailable,
                "no secure connection to the tenant's cluster can be made",
            )
            .hint("the gateway's log says what is wrong with TLS"),
            Self::Mismatch(_) | Self::WrongServer(_) => Refusal::new(
                ErrorKind::ClusterMismatch,
                "the server that answered is not the tenant's cluster",
            )
            .hint("the gateway's log says what differs from the catalog"),
        }
    }
}

/// What the server's own refusal of a login means to a client. Its words are not shown.
fn refused(code: &str) -> Refusal {
    match code {
        // The server has no connection left although our budget had: somebody else uses them.
        "53300" => Refusal::new(ErrorKind::ClusterFull, "the tenant's cluster has no connection left")
            .hint("try again in a moment"),
        "57P01" | "57P02" | "57P03" => {
            Refusal::new(ErrorKind::ClusterStarting, "the tenant's cluster is starting up or shutting down")
                .hint("try again in a moment")
        }
        _ => no_login(),
    }
}

fn no_login() -> Refusal {
    Refusal::new(ErrorKind::ClusterUnavailable, "the tenant's cluster refused the gateway's login")
        .hint("the gateway's log has the cluster's answer")
}

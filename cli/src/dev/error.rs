//! Why the local stack could not start or go on.

use crate::client::ApiError;
use crate::exit::{CommandError, Exit};
use launcher::PostgresError;
use std::path::PathBuf;

/// A local stack that does not come up, or does not stay up.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// An address is in use.
    #[error("port {port} ({purpose}) is already in use")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who wanted it.
        purpose: &'static str,
        /// The option that chooses another.
        option: &'static str,
    },
    /// Another process uses the data directory.
    #[error("{} is in use by another tenantry dev (process {owner})", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// Its process id, as it wrote it down.
        owner: String,
    },
    /// An ephemeral stack was to live where something is.
    #[error("{} holds something, and an ephemeral stack keeps nothing", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the data directory makes no sense.
    #[error("cannot understand {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the PostgreSQL servers.
    #[error("{name}: {source}")]
    Server {
        /// The server's name in the stack.
        name: String,
        /// What is wrong with it.
        source: PostgresError,
    },
    /// A PostgreSQL server ended by itself.
    #[error("the PostgreSQL server of {name} has ended, see {}", log.display())]
    ServerEnded {
        /// The server's name in the stack.
        name: String,
        /// Its log.
        log: PathBuf,
    },
    /// PostgreSQL itself was not found or cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The catalog cannot be brought to this release's version.
    #[error("the catalog: {0}")]
    Catalog(String),
    /// The control plane or the gateway.
    #[error("the {plane}: {reason}")]
    Plane {
        /// Which.
        plane: &'static str,
        /// What it said.
        reason: String,
    },
    /// The control plane refused what the stack asked it.
    #[error("cannot register {what}: {source}")]
    Register {
        /// A region or a cluster.
        what: String,
        /// Its answer.
        source: ApiError,
    },
}

impl DevError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::PortTaken { option, .. } => {
                Some(format!("stop what uses it, or choose another with {option}; 0 picks a free one"))
            }
            Self::NotEmpty { .. } => Some("choose an empty directory, or leave --data-dir out".to_owned()),
            Self::InUse { .. } => Some("stop it, or choose another directory with --data-dir".to_owned()),
            Self::Io { .. } => Some("choose another directory with --data-dir".to_owned()),
            Self::Server { source, .. } | Self::Postgres(source) => source.hint(),
            Self::Damaged { .. }
            | Self::ServerEnded { .. }
            | Self::Catalog(_)
            | Self::Plane { .. }
            | Self::Register { .. } => None,
        }
    }
}

impl From<DevError> for CommandError {
    fn from(error: DevError) -> Self {
        let shown = Self::new(Exit::Failure, error.to_string());
        match error.hint() {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}

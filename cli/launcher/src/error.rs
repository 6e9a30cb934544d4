//! What can go wrong between a data directory and a server that answers.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a PostgreSQL server could not be found, prepared, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No server binary anywhere we look.
    #[error("no PostgreSQL server of version {minimum} or newer was found")]
    NotFound {
        /// The oldest version that would do.
        minimum: u32,
    },
    /// The directory named by the user holds no server binary.
    #[error("there are no PostgreSQL server binaries in {}", dir.display())]
    NotThere {
        /// What the user named.
        dir: PathBuf,
    },
    /// A binary is there but too old.
    #[error("{} is PostgreSQL {found}, at least {minimum} is needed", dir.display())]
    TooOld {
        /// Where it lies.
        dir: PathBuf,
        /// Its version.
        found: String,
        /// The oldest version that would do.
        minimum: u32,
    },
    /// The data directory was written by another major version than the binary's.
    #[error("{} was made by PostgreSQL {data}, but the server at hand is version {server}", dir.display())]
    OtherVersion {
        /// The data directory.
        dir: PathBuf,
        /// The version that wrote it.
        data: u32,
        /// The version of the binary.
        server: u32,
    },
    /// The port that the caller insists on is in use.
    #[error("port {port} is already in use")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// A program could not be run at all.
    #[error("cannot run {}: {source}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed: {message}")]
    Failed {
        /// The program's name.
        program: String,
        /// The end of what it said.
        message: String,
    },
    /// A program neither finished nor answered in time; it has been killed.
    #[error("{program} did not get ready within {} s", waited.as_secs_f32())]
    Hung {
        /// The program's name.
        program: String,
        /// How long we waited.
        waited: Duration,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The unprivileged user that the server runs as may not enter the directory.
    #[error("the user {user} may not enter {}", path.display())]
    Unreachable {
        /// The user.
        user: String,
        /// The first directory on the way that it may not enter.
        path: PathBuf,
    },
    /// We are root and there is nobody to become.
    #[error("running as root, and there is neither a user \"postgres\" nor \"nobody\" to run the server as")]
    NoAccount,
    /// The server runs and refuses us.
    #[error("cannot connect to the server on port {port}: {source}")]
    Connect {
        /// Its port.
        port: u16,
        /// The driver's reason.
        source: tokio_postgres::Error,
    },
    /// The control file is not one that we understand.
    #[error("{} is not a control file that we understand", path.display())]
    ControlFile {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gives no random numbers")]
    Randomness,
}

impl PostgresError {
    /// What to do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } | Self::TooOld { .. } => Some(
                "run scripts/install-postgres, or name a directory of binaries with --pg-bin or TENANTRY_PG_BIN"
                    .to_owned(),
            ),
            Self::NotThere { .. } => {
                Some("the directory must hold the programs postgres and initdb".to_owned())
            }
            Self::OtherVersion { data, .. } => Some(format!(
                "name the binaries of PostgreSQL {data} with --pg-bin, or choose another --data-dir"
            )),
            Self::Unreachable { .. } => {
                Some("choose a data directory that other users may enter, such as one under /var/lib".to_owned())
            }
            Self::PortTaken { .. } => Some("choose another port; 0 picks a free one".to_owned()),
            Self::NoAccount => Some("start it as an ordinary user".to_owned()),
            Self::Run { .. }
            | Self::Failed { .. }
            | Self::Hung { .. }
            | Self::Io { .. }
            | Self::Connect { .. }
            | Self::ControlFile { .. }
            | Self::Randomness => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

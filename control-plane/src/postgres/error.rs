//! What a cluster can answer, sorted by what to do about it.

use super::guard::PasswordAsked;
use tokio_postgres::error::SqlState;

/// Why something on a cluster did not work.
///
/// The text never holds a DSN or a password: it is built from the address and the server's own message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// The server did not answer, or refused the connection before a session began.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// The server let nobody in with these credentials, or not into this database.
    #[error("{address} refused the login: {reason}")]
    LoginRefused { address: String, reason: String },
    /// The cluster's connections are to be encrypted, and the server does not do that.
    #[error("{address} does not offer TLS")]
    NoTls { address: String },
    /// The server did not prove to be the one that its certificate is to name.
    #[error("{address} is not trusted: {reason}")]
    NotTrusted { address: String, reason: String },
    /// The server asks for the password itself, which is never given.
    #[error("{address} asks for the password itself and not for SCRAM-SHA-256, so it is not given")]
    PasswordAsked { address: String },
    /// The server reported an error.
    #[error("{address} reported: {message}")]
    Reported { address: String, code: SqlState, message: String },
    /// The connection broke while a statement ran; whether it took effect is unknown.
    #[error("the connection to {address} was lost")]
    Lost { address: String },
    /// The statement took longer than it may; whether it took effect is unknown.
    #[error("{address} did not answer in time")]
    TimedOut { address: String },
    /// Another process has held the cluster's DDL lock for too long.
    #[error("{address} is busy with other changes")]
    Busy { address: String },
    /// The server is a standby; after a failover the address leads to the primary again.
    #[error("{address} is a standby, changes need the primary")]
    Standby { address: String },
    /// The server is not the one that the catalog knows.
    #[error("{address} is another server than registered: its system identifier is {found}, not {expected}")]
    OtherServer { address: String, expected: String, found: String },
    /// Something of this name exists and is not ours.
    #[error("{kind} \"{name}\" exists and does not belong to tenant {tenant}")]
    Foreign { kind: &'static str, name: String, tenant: tenancy::TenantId },
    /// The database is not the one that the ledger recorded.
    #[error("database \"{name}\" has oid {found}, but the ledger recorded {recorded}; it is left alone")]
    OtherDatabase { name: String, recorded: u32, found: u32 },
    /// What was just made is not there or not as it should be.
    #[error("check failed on {address}: {what}")]
    CheckFailed { address: String, what: String },
}

impl PostgresError {
    /// Sorts a driver's error. The driver's text is used only where it cannot hold a secret.
    pub(super) fn from_driver(address: &str, error: &tokio_postgres::Error) -> Self {
        let address = address.to_owned();
        if let Some(reported) = error.as_db_error() {
            let (code, message) = (reported.code().clone(), reported.message().to_owned());
            return Self::Reported { address, code, message };
        }
        Self::Lost { address }
    }

    /// The same while a connection is being opened.
    pub(super) fn from_connect(address: &str, error: &tokio_postgres::Error) -> Self {
        let address = address.to_owned();
        if let Some(reported) = error.as_db_error() {
            let (code, message) = (reported.code().clone(), reported.message().to_owned());
            return Self::Reported { address, code, message }.while_connecting();
        }
        let source = std::error::Error::source(error);
        let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
        if io.and_then(|io| io.get_ref()).is_some_and(|inner| inner.is::<PasswordAsked>()) {
            return Self::PasswordAsked { address };
        }
        let reason =
            io.map_or_else(|| "no answer that PostgreSQL would give".to_owned(), |io| io.kind().to_string());
        Self::Unreachable { address, reason }
    }

    /// What it means if a connection is just being opened.
    pub(super) fn while_connecting(self) -> Self {
        match self {
            // Invalid authorization, and a database that does not exist or takes no connections.
            Self::Reported { address, code, message }
                if matches!(code.code().get(..2), Some("28" | "3D")) =>
            {
                Self::LoginRefused { address, reason: message }
            }
            other => other,
        }
    }

    /// May the same step succeed later, with nobody changing anything?
    pub(crate) fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Standby { .. } => true,
            // A role just made or a pg_hba.conf just reloaded may take a moment; attempts are bounded anyway.
            Self::LoginRefused { .. } => true,
            Self::Reported { code, message, .. } => passes_by_itself(code, message),
            Self::NoTls { .. }
            | Self::NotTrusted { .. }
            | Self::PasswordAsked { .. }
            | Self::OtherServer { .. }
            | Self::Foreign { .. }
            | Self::OtherDatabase { .. }
            | Self::CheckFailed { .. } => false,
        }
    }

    /// Did the server say that the thing does not exist?
    pub(super) fn says_undefined(&self) -> bool {
        matches!(self, Self::Reported { code, .. }
            if *code == SqlState::UNDEFINED_OBJECT || *code == SqlState::INVALID_CATALOG_NAME)
    }
}

/// Classes 08 (connection), 40 (rollback), 53 (resources), 55 (in use, lock not available), 57 (shutdown, cancel), 58 (system)
/// pass; see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn passes_by_itself(code: &SqlState, message: &str) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    // The server has no code of its own for two sessions changing one catalog row.
    let concurrent = *code == SqlState::INTERNAL_ERROR && message.contains("tuple concurrently");
    // Somebody has granted something to the role just after all such grants were taken back.
    let depended_on = *code == SqlState::DEPENDENT_OBJECTS_STILL_EXIST;
    matches!(class, "08" | "40" | "53" | "55" | "57" | "58") || concurrent || depended_on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(code: SqlState, message: &str) -> PostgresError {
        PostgresError::Reported { address: "db:5432".into(), code, message: message.into() }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        assert!(
            reported(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout").retryable()
        );
        assert!(reported(SqlState::OBJECT_IN_USE, "being accessed by other users").retryable());
        assert!(reported(SqlState::INTERNAL_ERROR, "tuple concurrently updated").retryable());
        assert!(reported(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "role cannot be dropped").retryable());
        assert!(reported(SqlState::DISK_FULL, "no space left on device").retryable());
    }

    #[test]
    fn what_needs_a_person_is_not() {
        assert!(!reported(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to create role").retryable());
        assert!(!reported(SqlState::INTERNAL_ERROR, "cache lookup failed").retryable());
    }
}

//! Whose fault is it that a login failed?
//!
//! What the whole server does to everybody must hold up all its tenants' logins, or each of them would find out by
//! itself; what concerns one tenant's database or role must hold up nobody else's.

use super::ConnectError;
use crate::pool::breaker::Prognosis;
use std::io;

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The server, so everybody who would log in to it.
    Cluster(Prognosis),
    /// One tenant's database or role. The server is well: it has answered.
    Tenant(Prognosis),
    /// Nobody can tell; whoever met it keeps away.
    Unclear,
}

impl ConnectError {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        use Prognosis::{Doubtful, Lasting, Passing};
        match self {
            Self::Io(_) | Self::Timeout | Self::Lost | Self::Standby => Blame::Cluster(Passing),
            Self::Tls(error) if is_a_broken_connection(error) => Blame::Cluster(Passing),
            Self::TlsSettings(_) => Blame::Cluster(Lasting),
            Self::Tls(_) | Self::NotEncrypted(_) | Self::WrongServer(_) => Blame::Cluster(Doubtful),
            Self::Refused { code, .. } => blame_by_code(code),
            Self::KeysOutdated | Self::TenantsLimit { .. } => Blame::Tenant(Passing),
            Self::Mismatch(_) => Blame::Tenant(Doubtful),
            Self::Protocol(_) => Blame::Unclear,
        }
    }

    /// May the route that led here be out of date? The role's keys may have been changed, or the database moved.
    #[must_use]
    pub fn doubts_route(&self) -> bool {
        match self {
            Self::KeysOutdated | Self::Mismatch(_) | Self::WrongServer(_) => true,
            Self::Refused { code, .. } => matches!(&**code, "28P01" | "28000" | "3D000" | "57P04"),
            _ => false,
        }
    }
}

/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn blame_by_code(code: &str) -> Blame {
    match code {
        // Its database was dropped just now.
        "57P04" => Blame::Tenant(Prognosis::Doubtful),
        // Shut down by an administrator, after a crash, or not ready yet.
        "57P01" | "57P02" | "57P03" => Blame::Cluster(Prognosis::Passing),
        // A new keys' verifier, or a role that may log in again in a moment.
        "28P01" | "28000" => Blame::Tenant(Prognosis::Passing),
        _ => match code.get(..2) {
            // No connections, memory or disk left; the system's errors.
            Some("53" | "58") => Blame::Cluster(Prognosis::Passing),
            // As when its database is missing, or takes no connections.
            _ => Blame::Tenant(Prognosis::Doubtful),
        },
    }
}

/// As when a server is stopped in the middle of a handshake. What is wrong with certificates is never of these.
fn is_a_broken_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Prognosis::{Doubtful, Lasting, Passing};

    fn refused(code: &str) -> ConnectError {
        ConnectError::Refused { code: code.to_owned(), message: String::new() }
    }

    #[test]
    fn what_the_server_does_to_everybody_is_the_clusters_fault() {
        for error in [
            ConnectError::Io(io::ErrorKind::ConnectionRefused.into()),
            ConnectError::Io(io::ErrorKind::ConnectionReset.into()),
            ConnectError::Timeout,
            ConnectError::Lost,
            ConnectError::Standby,
            ConnectError::Tls(io::ErrorKind::UnexpectedEof.into()),
            refused("57P01"),
            refused("57P03"),
            refused("53300"),
            refused("53200"),
        ] {
            assert_eq!(error.blame(), Blame::Cluster(Passing), "{error}");
        }
        for error in [
            ConnectError::WrongServer(String::new()),
            ConnectError::NotEncrypted(String::new()),
            ConnectError::Tls(io::ErrorKind::InvalidData.into()),
        ] {
            assert_eq!(error.blame(), Blame::Cluster(Doubtful), "{error}");
        }
        assert_eq!(ConnectError::TlsSettings(String::new()).blame(), Blame::Cluster(Lasting));
    }

    #[test]
    fn what_concerns_one_database_or_role_is_its_tenants() {
        for error in [
            refused("28P01"),
            refused("28000"),
            ConnectError::KeysOutdated,
            ConnectError::TenantsLimit { message: String::new() },
        ] {
            assert_eq!(error.blame(), Blame::Tenant(Passing), "{error}");
        }
        for code in ["3D000", "57P04", "55000", "42501", "none", "é"] {
            assert_eq!(refused(code).blame(), Blame::Tenant(Doubtful), "{code}");
        }
        assert_eq!(ConnectError::Mismatch(String::new()).blame(), Blame::Tenant(Doubtful));
        assert_eq!(ConnectError::Protocol(String::new()).blame(), Blame::Unclear);
    }

    /// Where the second try comes too late for the route to have been read anew, a client hears of it.
    #[test]
    fn what_an_old_route_may_lead_to_is_never_final_at_once() {
        let wrong = [ConnectError::WrongServer(String::new()), ConnectError::Mismatch(String::new())];
        let refusals = ["3D000", "57P04", "28P01", "28000"].map(refused);
        for error in refusals.into_iter().chain(wrong).chain([ConnectError::KeysOutdated]) {
            assert!(error.doubts_route(), "{error}");
            assert!(!matches!(error.blame(), Blame::Cluster(Lasting) | Blame::Tenant(Lasting)), "{error}");
        }
        assert!(!refused("53300").doubts_route() && !ConnectError::Timeout.doubts_route());
    }
}

//! SQLSTATE codes: five characters that programs may match on.

use std::fmt;

/// A SQLSTATE: five digits or capital letters, of which the first two are the class.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Takes a code that a server or a program gave; `None` unless it is five digits or capital letters.
    #[must_use]
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        code.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()).then_some(Self(code))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a SQLSTATE is made of ASCII only")
    }

    /// The code as bytes, as it stands on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 5] {
        &self.0
    }

    /// The first two characters: what kind of condition this is, for whoever does not know the code.
    #[must_use]
    pub const fn class(self) -> [u8; 2] {
        let [a, b, ..] = self.0;
        [a, b]
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({self})")
    }
}

/// Names follow PostgreSQL's condition names.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        impl SqlState {
            $(#[doc = concat!("`", stringify!($code), "`: ", $meaning, ".")]
            pub const $name: Self = Self(*$code);)*
        }

        #[cfg(test)]
        const ALL: &[SqlState] = &[$(SqlState::$name),*];
    };
}

codes! {
    SUCCESSFUL_COMPLETION = b"00000", "all is well";
    WARNING = b"01000", "a warning";
    CONNECTION_EXCEPTION = b"08000", "something is wrong with a connection";
    SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION = b"08001", "no connection to the server could be made";
    CONNECTION_DOES_NOT_EXIST = b"08003", "there is no such connection";
    SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION = b"08004", "the server refused the connection";
    CONNECTION_FAILURE = b"08006", "a connection broke";
    PROTOCOL_VIOLATION = b"08P01", "a peer broke the protocol";
    FEATURE_NOT_SUPPORTED = b"0A000", "not offered";
    INVALID_PARAMETER_VALUE = b"22023", "a parameter has a value that it cannot take";
    INVALID_TEXT_REPRESENTATION = b"22P02", "text that does not read as a value of its type";
    CHARACTER_NOT_IN_REPERTOIRE = b"22021", "bytes that are no text in the encoding";
    ACTIVE_SQL_TRANSACTION = b"25001", "not allowed inside a transaction";
    READ_ONLY_SQL_TRANSACTION = b"25006", "not allowed in a read-only transaction";
    IN_FAILED_SQL_TRANSACTION = b"25P02", "the transaction has failed and only its end is accepted";
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03", "idle in a transaction for too long";
    TRANSACTION_TIMEOUT = b"25P04", "the transaction lasted for too long";
    INVALID_SQL_STATEMENT_NAME = b"26000", "no prepared statement has that name";
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000", "no such user here, or not this way";
    INVALID_PASSWORD = b"28P01", "the password (or the user, or the tenant) is wrong";
    INVALID_CURSOR_NAME = b"34000", "no portal has that name";
    INVALID_CATALOG_NAME = b"3D000", "no database has that name";
    SERIALIZATION_FAILURE = b"40001", "concurrent transactions collided; a retry may succeed";
    DEADLOCK_DETECTED = b"40P01", "transactions waited for each other; a retry may succeed";
    INSUFFICIENT_PRIVILEGE = b"42501", "known, but not allowed";
    SYNTAX_ERROR = b"42601", "text that is not SQL";
    DUPLICATE_CURSOR = b"42P03", "a portal has that name already";
    DUPLICATE_DATABASE = b"42P04", "a database has that name already";
    DUPLICATE_PREPARED_STATEMENT = b"42P05", "a prepared statement has that name already";
    UNDEFINED_OBJECT = b"42704", "no object, such as a parameter or a role, has that name";
    DUPLICATE_OBJECT = b"42710", "an object, such as a role, has that name already";
    INSUFFICIENT_RESOURCES = b"53000", "out of something";
    OUT_OF_MEMORY = b"53200", "out of memory";
    DISK_FULL = b"53100", "no room is left";
    TOO_MANY_CONNECTIONS = b"53300", "no connection is free";
    CONFIGURATION_LIMIT_EXCEEDED = b"53400", "a configured limit is reached";
    PROGRAM_LIMIT_EXCEEDED = b"54000", "too large or too complex";
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000", "not in a state that allows this";
    OBJECT_IN_USE = b"55006", "in use";
    LOCK_NOT_AVAILABLE = b"55P03", "a lock could not be had in time";
    OPERATOR_INTERVENTION = b"57000", "somebody intervened";
    QUERY_CANCELED = b"57014", "cancelled, by request or by a timeout";
    ADMIN_SHUTDOWN = b"57P01", "shutting down; connect again";
    CRASH_SHUTDOWN = b"57P02", "the server crashed; connect again";
    CANNOT_CONNECT_NOW = b"57P03", "not accepting connections now; try later";
    DATABASE_DROPPED = b"57P04", "the database is gone";
    IDLE_SESSION_TIMEOUT = b"57P05", "idle for too long";
    SYSTEM_ERROR = b"58000", "an error outside PostgreSQL itself";
    INTERNAL_ERROR = b"XX000", "a bug";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_constant_is_a_code_and_stands_once() {
        let distinct: HashSet<_> = ALL.iter().collect();
        assert_eq!(distinct.len(), ALL.len());
        for code in ALL {
            assert_eq!(SqlState::parse(code.as_bytes()), Some(*code));
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for bad in [&b""[..], b"28P0", b"28P011", b"28p01", b"28 01", b"\xff\xff\xff\xff\xff"] {
            assert_eq!(SqlState::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_code_shows_itself() {
        assert_eq!(SqlState::INVALID_PASSWORD.to_string(), "28P01");
        assert_eq!(format!("{:?}", SqlState::INTERNAL_ERROR), "SqlState(XX000)");
        assert_eq!(SqlState::QUERY_CANCELED.class(), *b"57");
    }
}

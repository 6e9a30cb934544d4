//! Errors and notices that the gateway itself raises.

use crate::sqlstate::SqlState;

/// How bad it is. An error ends the transaction, a fatal error the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The command failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// Every session ends.
    Panic,
    /// Something is likely wrong.
    Warning,
    /// Worth knowing.
    Notice,
    /// For whoever debugs.
    Debug,
    /// Asked for by the user.
    Info,
    /// For the server's log.
    Log,
}

impl Severity {
    /// The word on the wire; PostgreSQL translates it in field `S` and never in field `V`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Log => "LOG",
        }
    }

    /// Whether the sender closes the connection after saying this.
    #[must_use]
    pub const fn ends_session(self) -> bool {
        matches!(self, Self::Fatal | Self::Panic)
    }

    /// Takes the word of field `V`.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"ERROR" => Self::Error,
            b"FATAL" => Self::Fatal,
            b"PANIC" => Self::Panic,
            b"WARNING" => Self::Warning,
            b"NOTICE" => Self::Notice,
            b"DEBUG" => Self::Debug,
            b"INFO" => Self::Info,
            b"LOG" => Self::Log,
            _ => return None,
        })
    }
}

/// An error or a notice to be written with [`crate::backend::write::error_response`] or
/// [`crate::backend::write::notice`].
///
/// Texts follow PostgreSQL's style: the message in lower case without a full stop, detail and hint as
/// sentences (<https://www.postgresql.org/docs/current/error-style-guide.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorResponse<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// What a program may match on.
    pub code: SqlState,
    /// What happened.
    pub message: &'a str,
    /// More about what happened.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

impl<'a> ErrorResponse<'a> {
    /// An error without detail or hint.
    #[must_use]
    pub const fn new(severity: Severity, code: SqlState, message: &'a str) -> Self {
        Self { severity, code, message, detail: None, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub const fn with_hint(self, hint: Option<&'a str>) -> Self {
        Self { hint, ..self }
    }
}

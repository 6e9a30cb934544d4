//! What can go wrong while results are read, and what becomes of it. Each of these closes the connection.

use super::failure::{ErrorBody, Failure, UNSUPPORTED};
use crate::error::Refusal;
use pgwire::MessageError;
use tenancy::ErrorKind;

/// Why a result cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// The body would grow past its bound.
    TooLarge,
    /// A row would be larger than is held in memory.
    RowTooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// A value is not UTF-8, although the server was asked for it: an SQL_ASCII database.
    NotUtf8,
    /// The server's message is broken.
    Malformed,
}

impl From<MessageError> for WriteFailure {
    fn from(_: MessageError) -> Self {
        Self::Malformed
    }
}

/// Why an exchange with a server cannot go on.
#[derive(Debug)]
pub enum Fault {
    /// The server has closed the connection.
    Lost,
    /// It sent what was not due, or something malformed.
    OutOfSync,
    /// The statement wants to copy from or to the client.
    Copy,
    /// The result cannot be written.
    Result(WriteFailure),
    /// A row is larger than is held in memory.
    RowTooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
    /// So is a message that is no row: an error that a statement has raised, or a notice.
    MessageTooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
}

impl From<WriteFailure> for Fault {
    fn from(failure: WriteFailure) -> Self {
        match failure {
            WriteFailure::Malformed => Self::OutOfSync,
            WriteFailure::RowTooLarge { bytes_max } => Self::RowTooLarge { bytes_max },
            other => Self::Result(other),
        }
    }
}

impl From<MessageError> for Fault {
    fn from(_: MessageError) -> Self {
        Self::OutOfSync
    }
}

impl Fault {
    /// What the client is told. `answer` is an error that the server sent before.
    #[must_use]
    pub fn into_failure(self, answer: Option<Box<ErrorBody>>, bytes_max: usize) -> Failure {
        match (self, answer) {
            // A fatal error came before the end: it says more.
            (Self::Lost, Some(answer)) => Failure::Server(answer),
            (Self::Lost, None) => {
                Refusal::new(ErrorKind::ServerLost, "the server closed the connection unexpectedly").into()
            }
            (Self::OutOfSync, _) => {
                tracing::error!("a server's reply was not the one due; its connection is closed");
                Refusal::new(ErrorKind::Internal, "the server's replies are out of sync").into()
            }
            (Self::Copy, _) => Failure::Statement {
                code: UNSUPPORTED,
                message: "COPY from or to the client is not supported over HTTP".into(),
                hint: Some("use the PostgreSQL protocol"),
            },
            (Self::Result(WriteFailure::TooLarge), _) => Failure::TooLarge { what: "response", bytes_max },
            (Self::RowTooLarge { bytes_max } | Self::Result(WriteFailure::RowTooLarge { bytes_max }), _) => {
                Failure::TooLarge { what: "a row of the response", bytes_max }
            }
            (Self::MessageTooLarge { bytes_max }, _) => {
                Failure::TooLarge { what: "an error or notice of the server", bytes_max }
            }
            (Self::Result(WriteFailure::NotUtf8 | WriteFailure::Malformed), _) => {
                Failure::statement("22021", "the result has bytes that are not valid UTF-8")
            }
        }
    }
}

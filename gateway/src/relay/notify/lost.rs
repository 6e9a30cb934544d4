//! Why a client cannot go on listening, and what it is told.

use crate::error::Refusal;
use tenancy::ErrorKind;

/// Why notifications may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The listening connection has ended.
    Listener,
    /// The client did not take them, and too many came.
    TooMany,
    /// No connection may be kept to listen.
    NoneToKeep,
    /// The client wants them in another encoding than that in which they come.
    Encoding,
    /// What it listens to was changed in a way that cannot be told.
    Untold,
}

impl Lost {
    /// What the client is told.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Listener => Refusal::new(
                ErrorKind::Terminated,
                "the connection that listened for notifications has ended",
            )
            .hint("connect and LISTEN again; notifications may have been missed"),
            Self::Encoding => Refusal::new(
                ErrorKind::Terminated,
                "notifications cannot be told in another client_encoding than the one at LISTEN",
            )
            .hint("connect, set client_encoding, and LISTEN then; notifications may have been missed"),
            Self::Untold => {
                Refusal::new(ErrorKind::Terminated, "what the client listens to is no longer known").hint(
                    "connect and LISTEN again; LISTEN and UNLISTEN in small transactions without savepoints",
                )
            }
            Self::NoneToKeep => Refusal::new(
                ErrorKind::LongHolds,
                "as many connections are kept as may be: none is left to listen",
            )
            .hint("sessions that keep one have to end first, or the plan needs more connections"),
            Self::TooMany => Refusal::new(
                ErrorKind::TooLarge,
                "too many notifications wait for the client to take them",
            )
            .hint(
                "read notifications while a transaction is not open, or raise state.listen_queue_bytes_max",
            ),
        }
    }
}

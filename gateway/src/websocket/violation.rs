//! What a client may not do, and the number that tells it so.

use std::io;
use tungstenite::protocol::frame::coding::CloseCode;

/// Why a WebSocket is closed by us before its session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// The frames are not such as a client may send.
    #[error("the frames break the rules of WebSocket")]
    Protocol,
    /// PostgreSQL's protocol is bytes.
    #[error("a frame is text: PostgreSQL's protocol goes in binary frames")]
    NotBinary,
    /// A frame announces more than any message may have.
    #[error("a frame is larger than any message may be")]
    TooLarge,
}

impl Violation {
    /// The status code (RFC 6455 §7.4.1).
    pub(super) const fn code(self) -> CloseCode {
        match self {
            Self::Protocol => CloseCode::Protocol,
            Self::NotBinary => CloseCode::Unsupported,
            Self::TooLarge => CloseCode::Size,
        }
    }
}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}

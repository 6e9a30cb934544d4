//! The packets that come before any framed message: a request for encryption, for a cancel, or for
//! a session.
//!
//! These packets have no tag: a 32-bit length that counts itself, a code, and the rest
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). They come from whoever
//! can reach the port, so the length is judged as soon as it is there and never believed.
//!
//! | A connection begins with | Outcome |
//! |---|---|
//! | SSLRequest, GSSENCRequest | [`FirstPacket::SslRequest`], [`FirstPacket::GssEncRequest`]; then [`expect_no_early_data`] |
//! | CancelRequest of protocol 3.0 | [`FirstPacket::Cancel`] |
//! | CancelRequest with a key of protocol 3.2 | [`StartupError::CancelKeyLength`]: we never gave that key |
//! | StartupMessage 3.x | [`FirstPacket::Startup`]; NegotiateProtocolVersion answers what we do not speak |
//! | StartupMessage of another major version | [`StartupError::UnsupportedProtocol`] |
//! | a TLS ClientHello (direct TLS) | [`is_direct_tls`]; a parser that gets it says [`StartupError::DirectTls`] |
//! | anything else, such as HTTP | [`StartupError::Length`] or [`StartupError::TooLong`], on its first four bytes |

mod encryption;
mod options;
mod packet;

pub(crate) use packet::{CANCEL_REQUEST_CODE, SSL_REQUEST_CODE};

pub use crate::cancel::CancelKey;
pub use encryption::{EncryptionAnswer, EncryptionError, expect_no_early_data, is_direct_tls};
pub use options::{OptionsError, parse_options};
pub use packet::{StartupError, parse_first_packet};

/// How many protocol extensions a client may ask for. All are refused by name, and one that was not named would
/// pass for accepted.
pub(crate) const EXTENSIONS_MAX: usize = 1024;

/// What protocol extensions are called.
const EXTENSION_PREFIX: &str = "_pq_.";

/// What the first packet of a connection asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket {
    /// TLS. Answer with one byte, `S` or `N`; another first packet follows.
    SslRequest,
    /// GSSAPI encryption. Answer with one byte, `G` or `N`; another first packet follows.
    GssEncRequest,
    /// To cancel the query of another session. Answer with nothing and close.
    Cancel(CancelKey),
    /// A session.
    Startup(Startup),
}

/// A request for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The minor version of protocol 3 that the client would like to speak.
    pub minor: u16,
    /// The parameters in the order given.
    pub parameters: Vec<(String, String)>,
}

impl Startup {
    /// The value of a parameter. Of several with one name the last counts, as in PostgreSQL; the
    /// parameters that choose user and database are there at most once.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of protocol extensions asked for (`_pq_.…`), to be refused by name in
    /// NegotiateProtocolVersion.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with(EXTENSION_PREFIX))
    }
}

#[cfg(test)]
mod tests;

//! The packets that come before any framed message: a request for encryption, for a cancel, or for
//! a session.
//!
//! These packets have no tag: a 32-bit length that counts itself, a code, and the rest
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). They come from whoever
//! can reach the port, so the length is judged as soon as it is there and never believed.

mod options;
mod packet;

pub(crate) use packet::CANCEL_REQUEST_CODE;

pub use crate::cancel::CancelKey;
pub use options::{OptionsError, parse_options};
pub use packet::{StartupError, parse_first_packet};

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
        self.parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_."))
    }
}

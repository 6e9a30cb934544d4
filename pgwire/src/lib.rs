//! The PostgreSQL frontend/backend protocol, version 3, as bytes and messages.
//!
//! This crate turns bytes that somebody else has read into borrowed views, and appends messages to
//! a `Vec<u8>` that somebody else will write. It covers the messages that a pooling gateway has to
//! understand or to speak itself; every other message is a [`frame`] to forward untouched.
//!
//! | Module | What it knows |
//! |---|---|
//! | [`frame`] | where one message ends and the next begins |
//! | [`startup`], [`cancel`] | what comes before any framed message, encryption included, and cancel keys |
//! | [`frontend`] | what a client sends: views of it, and writers for our own login to a server |
//! | [`backend`] | what a server sends: views of it, and writers for what we answer ourselves |
//! | [`error_response`], [`sqlstate`] | errors and notices in PostgreSQL's own words and codes |
//! | [`scram`] | SCRAM-SHA-256, with and without channel binding, as server and as client; verifiers and keys |
//!
//! **Both ends are untrusted.** A client has not logged in yet when its first bytes are parsed, and
//! a server may be the wrong one. So every parser takes any bytes and answers with a value or an
//! error: lengths are checked before they are used, nothing is allocated in proportion to a number
//! that a peer has sent, and every field of an error message may be missing. Parsers of incomplete
//! input say `None`, never a value that more bytes would change.
//!
//! **Writers append whole messages or nothing.** A writer that fails leaves its buffer as it found
//! it. A length that does not fit the protocol's 32 bits, or a zero byte inside a string (which
//! would end it early and turn the rest into other fields), is an error and never a cut-off number.
//!
//! What this crate must never do: read or write a socket, wait, know a tenant, or log.
//!
//! The protocol is specified in <https://www.postgresql.org/docs/current/protocol.html>; constants
//! cite the page they come from.

mod cursor;
mod emit;

pub mod backend;
pub mod cancel;
pub mod error_response;
pub mod frame;
pub mod frontend;
pub mod scram;
pub mod sqlstate;
pub mod startup;

pub use cancel::CancelKey;
pub use cursor::MessageError;
pub use emit::WriteError;
pub use error_response::{ErrorResponse, Severity};
pub use sqlstate::SqlState;

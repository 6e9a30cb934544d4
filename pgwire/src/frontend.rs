//! What a client sends after start-up.
//!
//! The views here borrow from the body of one complete message (see [`crate::frame`]) and read only
//! what a pooler must know: names, which decide where a message goes, and the query text. What lies
//! behind stays raw and is passed on for the server to judge. The [`write`](mod@write) module appends
//! messages: our own login to a server, and messages whose names had to be changed.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

pub mod write;

mod views;

#[cfg(test)]
mod tests;

pub use views::{Bind, DescribeOrClose, Execute, PORTAL, Parse, STATEMENT, SaslInitial, password, query};

/// The tag byte of each message that a client may send.
pub mod tag {
    /// Bind.
    pub const BIND: u8 = b'B';
    /// Close.
    pub const CLOSE: u8 = b'C';
    /// CopyData, in both directions.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone, in both directions.
    pub const COPY_DONE: u8 = b'c';
    /// CopyFail.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe.
    pub const DESCRIBE: u8 = b'D';
    /// Execute.
    pub const EXECUTE: u8 = b'E';
    /// Flush.
    pub const FLUSH: u8 = b'H';
    /// FunctionCall.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Parse.
    pub const PARSE: u8 = b'P';
    /// PasswordMessage, SASLInitialResponse, SASLResponse or GSSResponse: the question tells which.
    pub const PASSWORD: u8 = b'p';
    /// Query.
    pub const QUERY: u8 = b'Q';
    /// Sync.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';
}

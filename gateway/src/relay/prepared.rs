//! Prepared statements that outlive the connection they were prepared on.
//!
//! A client's statement gets a name of ours on the server, the same for every client of the pool that
//! prepared the same text with the same parameter types and [`meaning`]. A connection that lacks the
//! statement gets it prepared again, ahead of the message that needs it. An unnamed statement whose text
//! comes again is treated alike, so that the server parses and plans it once a connection.
//!
//! ```text
//!   client ── its name ──► Statement ◄── text ── cache (one a pool, bounded, forgets the longest unused)
//!                              │ our name
//!                              ▼
//!                   server connection: which of them are prepared on it (bounded, closes the longest unused)
//! ```
//!
//! Texts are compared whole, never by hash alone: no two statements may ever be taken for each other. A
//! client's name never reaches a server in place of ours, nor ours a server because a client said it.

mod cache;
mod client;
mod complaint;
pub mod meaning;
mod memory;
mod numbers;
pub mod on_server;
pub mod reading;
mod server;
mod sketch;
mod statement;

pub use cache::StatementCache;
pub use client::{ClientStatements, TooManyStatements, Unnamed};
pub use complaint::Complaint;
pub use memory::PreparedMemory;
pub use server::{Evicted, ServerStatements, Standing};
pub use statement::{Statement, Text};

/// Our statement names begin with this; clients' own names never reach the server in its place.
pub const NAME_PREFIX: &str = "__tenantry_";

/// The name of no statement at all: what a client that has no unnamed statement is answered with.
pub const NO_STATEMENT: &[u8] = b"__tenantry_none";

/// A statement that is prepared only to be deallocated in place of a client's.
pub const SACRIFICE: &[u8] = b"__tenantry_gone";

#[cfg(test)]
mod tests;

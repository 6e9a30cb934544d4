//! PostgreSQL's protocol inside a WebSocket (RFC 6455), for clients that have no sockets: `/v2` of the
//! `@neondatabase/serverless` driver.
//!
//! ```text
//! handshake (is it an upgrade?) ─► stream ─┬─ decoder   frames to bytes, where they lie
//!                                          ├─ outbound  bytes to frames, from where they lie
//!                                          └─ heart     is somebody still there?
//! ```
//!
//! What comes out is one more [`crate::stream::ClientStream`]: login, limits and relay are those of every client.
//! Frames carry a stream of bytes, and their ends mean nothing; but what a driver sends in its first one belongs together.
//!
//! What this module must never do: hold a frame in memory, know a message of PostgreSQL's, or let anybody in.

mod decoder;
pub mod handshake;
mod heart;
mod outbound;
mod stream;
mod violation;

pub use stream::WebSocket;

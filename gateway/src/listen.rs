//! Accepting connections.
//!
//! [`pgwire`] takes a PostgreSQL client from its first byte to the relay, [`http`] an HTTP client to
//! its handler. Nothing a client sends is trusted before it was measured: until it has authenticated,
//! it gets a small buffer and a short time.

pub mod bind;
pub mod door;
pub mod group;
pub mod http;
pub mod negotiate;
mod origin;
pub mod peers;
pub mod pgwire;
pub mod wire;

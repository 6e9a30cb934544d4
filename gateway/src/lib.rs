//! The gateway: one address in front of many PostgreSQL databases.
//!
//! The folders stand in the order in which a connection passes them:
//!
//! ```text
//! listen ─► resolve ─► authenticate ─► admit ─► pool ─► relay
//! (bytes)   (tenant)   (who asks)      (may it)  (lease)  (forward)
//! ```
//!
//! [`session`] holds the stages as types; each consumes the one before, so nothing is relayed for a
//! client that was not authenticated, and nothing reaches a server without a lease.
//!
//! The gateway must never: write to the catalog anything but its own heartbeat; give a server
//! connection back to a pool that is not proved idle, in sync and clean; show one tenant's bytes,
//! names or errors to another; or need the catalog to serve a tenant that it already knows.

pub mod admin;
pub mod admit;
pub mod app;
pub mod authenticate;
pub mod cancel;
pub mod clients;
pub mod connect;
pub mod console;
mod counted;
pub mod error;
pub mod http;
pub mod listen;
pub mod metrics;
mod moments;
pub mod pool;
pub mod relay;
pub mod resolve;
pub mod session;
pub mod shared;
pub mod socket;
pub mod stream;
pub mod summons;
pub mod tls;
pub mod websocket;
pub mod workers;

pub use app::{Addresses, Gateway, GatewayError};

//! What both planes share of the network: how a listener lets go of a connection, TLS towards
//! servers, and what a connection string says of it.
//!
//! Nothing in here knows a tenant, a route or a request's meaning.

pub mod dsn;
mod lingering;
pub mod tls;

pub use lingering::Lingering;

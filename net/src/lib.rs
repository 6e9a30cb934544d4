//! What both planes share of the network: how a listener lets go of a connection, and TLS towards servers.
//!
//! Nothing in here knows a tenant, a route or a request's meaning.

mod lingering;
pub mod tls;

pub use lingering::Lingering;

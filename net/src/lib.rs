//! What both planes share of the network: how a listener lets go of a connection, where a client
//! is, TLS towards servers, and what a connection string says of it.
//!
//! Nothing in here knows a tenant, a route or a request's meaning.

mod client_address;
pub mod dsn;
pub mod forwarded;
mod lingering;
pub mod proxy_protocol;
pub mod tls;

pub use client_address::{AddressKey, ClientAddress};
pub use lingering::Lingering;

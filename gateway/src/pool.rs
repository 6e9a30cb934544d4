//! Server connections, shared out.
//!
//! ```text
//! Registry ── per cluster ──► Cluster: one Budget over all its pools
//!     └───── per (cluster, database, role) ──► Pool: slots, idle connections, settings, statements
//!                                                └── checkout ──► Lease
//! ```
//!
//! A client first gets one of the pool's slots (a permit, in order of arrival), then a connection:
//! an idle one, or a new one for which the cluster's budget grants a [`budget::ConnectPermit`]. Both
//! protocols come through here, so one limit holds for both.
//!
//! A connection goes back only through [`Lease::release`], whose caller states that it is idle, in
//! sync and clean. Every other way a lease can end closes it.

pub mod breaker;
pub mod budget;
pub mod checkout;
pub mod cluster;
mod idle;
pub mod key;
pub mod lease;
pub mod registry;
pub mod servers;
pub mod sweep;
pub mod tenant_pool;

pub use budget::{Budget, ConnectPermit};
pub use checkout::CheckoutError;
pub use cluster::{Cluster, Demand};
pub use key::PoolKey;
pub use lease::Lease;
pub use registry::Registry;
pub use tenant_pool::Pool;

#[cfg(test)]
pub(crate) mod tests;

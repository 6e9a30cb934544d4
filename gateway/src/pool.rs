//! Server connections, shared out.
//!
//! ```text
//! Registry ── per cluster ──► Cluster: one budget, shared out by the Allocator over all its pools
//!     └───── per (cluster, database, role and its access) ──► Pool: idle connections, who waits, settings, statements
//!                                                └── checkout ──► Lease
//! ```
//!
//! A tenant has up to three pools, one for each [`tenancy::Access`], that share what it may have and make room for one
//! another, but never a connection: what a session may do is decided by the role that its connection was opened as.
//!
//! A client takes an idle connection, or waits in its pool's queue until it is handed one. Connections are opened by
//! the pool, for whoever waits, each with a [`ConnectPermit`] that the cluster's [`allocator`] has granted. Both
//! protocols come through here, so one limit holds for both.
//!
//! Two locks: a pool's own, which check-out and check-in take for a moment, and the cluster's, which is taken only when
//! something is opened, closed or lacking. A pool's may be held when the cluster's is taken, never the other way round.
//!
//! A connection goes back only through [`Lease::release`], whose caller states that it is idle, in
//! sync and clean. Every other way a lease can end closes it.

pub mod allocator;
pub mod breaker;
pub mod checkout;
pub mod cluster;
pub mod expiry;
mod fair_queue;
mod idle;
pub mod keeping;
pub mod key;
pub mod lease;
mod opening;
pub mod permit;
pub mod registry;
pub mod servers;
mod siblings;
mod state;
pub mod tenant_pool;
mod waiters;

pub use allocator::LongHold;
pub use checkout::{Asker, CheckoutError};
pub use cluster::{Cluster, Demand};
pub use keeping::Keeping;
pub use key::{Destination, PoolKey};
pub use lease::Lease;
pub use permit::ConnectPermit;
pub use registry::Registry;
pub use tenant_pool::Pool;

#[cfg(test)]
pub(crate) mod tests;

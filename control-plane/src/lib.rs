//! The control plane: the API that operators and the CLI speak, and the engine that carries out what they ask.
//!
//! A request changes the catalog in one transaction and, where work on a cluster follows, leaves an
//! operation behind; the engine claims operations and walks their steps. A control plane killed at any
//! instant resumes: every step may run twice, and every write is checked against a fencing number.
//!
//! It never holds SQL against the catalog (that is `catalog-schema`), never touches a tenant's cluster
//! outside its `postgres` module, never serves tenants' queries, and never knows the gateway but through the catalog.

mod access_roles;
mod api;
mod app;
mod attempts;
mod context;
mod counted;
mod domains;
mod housekeeping;
mod inquiries;
mod metrics;
mod operations;
mod people;
mod postgres;
mod reconcile;
mod schedule;
mod secrets;
mod streams;
#[cfg(test)]
mod testing;

pub use api::{TlsError, openapi};
pub use app::{ControlPlane, ControlPlaneError};
pub use operations::failpoint;

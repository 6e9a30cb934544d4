//! Everything that touches tenants' clusters, and the only place that runs DDL on them.
//!
//! Admin sessions go to the database named in the cluster's DSN (`postgres` by default), never to a
//! template: a session on a template blocks every `CREATE DATABASE` from it. Roles and databases are
//! rows of shared catalogs, and concurrent DDL on those fails with "tuple concurrently updated", so all
//! of it runs under one advisory lock per cluster ([`clusters`]). Nothing here reads or writes our catalog,
//! and nothing is dropped that does not carry our mark.

pub(crate) mod access;
pub(crate) mod clusters;
pub(crate) mod database;
pub(crate) mod drift;
pub(crate) mod dsn;
mod error;
pub(crate) mod grants;
mod guard;
pub(crate) mod login;
pub(crate) mod marker;
pub(crate) mod prepared;
pub(crate) mod privileges;
pub(crate) mod probe;
mod quote;
pub(crate) mod role;
pub(crate) mod role_session;
mod role_settings;
mod session;
pub(crate) mod size;
pub(crate) mod transport;
mod wire;

pub(crate) use clusters::{ClusterDdl, Clusters, Endpoint};
pub(crate) use error::PostgresError;
pub(crate) use session::Session;

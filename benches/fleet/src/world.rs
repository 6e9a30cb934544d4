//! What scenarios are played in: servers with many databases, and what stands before them.
//!
//! Tenant `n` is the same everywhere: database `t{n}`, role and user `u{n}`, one password and one salt for all, so that
//! nobody hashes it more than once. Everything listens on the loopback address, and ends when it is dropped.

pub(crate) mod catalog;
pub(crate) mod control_plane;
pub(crate) mod databases;
pub(crate) mod gateway;
pub(crate) mod pgbouncer;
mod process;
pub(crate) mod server;

use pgwire::scram::{ClientKeys, ScramError, Verifier};
use std::path::PathBuf;
use tenancy::{Secret, TenantId};
use uuid::Uuid;

/// Rows of each tenant's table `accounts`. It fits into two pages' worth of index, like most tables of small tenants.
pub(crate) const ROWS: u32 = 1_000;

/// No secret: the servers are reached from this machine alone, and hold nothing.
pub(crate) const PASSWORD: &str = "fleet";
const SALT: &[u8; 16] = b"tenantry's fleet";
const ROUNDS: u32 = 4_096;

/// Why a world did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    /// A server did not come up.
    #[error(transparent)]
    Server(#[from] launcher::PostgresError),
    /// A server refused what makes a tenant.
    #[error("{what}: {source}")]
    Database {
        /// What was being done.
        what: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// The catalog refused.
    #[error("the catalog: {0}")]
    Catalog(#[from] catalog_schema::CatalogError),
    /// The catalog's key or a verifier could not be made.
    #[error("no key could be made: {0}")]
    Key(String),
    /// The control plane did not do what it was asked.
    #[error("the control plane, {path}: {what}")]
    Api {
        /// What it was asked.
        path: String,
        /// What it said.
        what: String,
    },
    /// A file could not be written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program did not start, or ended early.
    #[error("{program} {what}")]
    Program {
        /// Which.
        program: String,
        /// What it did.
        what: String,
    },
}

impl WorldError {
    pub(crate) fn database(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        move |source| Self::Database { what, source }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl From<ScramError> for WorldError {
    fn from(error: ScramError) -> Self {
        Self::Key(error.to_string())
    }
}

/// The verifier of everybody's password.
pub(crate) fn verifier() -> Result<String, WorldError> {
    Ok(Verifier::derive(&Secret::new(PASSWORD.to_owned()), SALT, ROUNDS)?.to_string())
}

fn keys() -> Result<ClientKeys, WorldError> {
    Ok(ClientKeys::derive(&Secret::new(PASSWORD.to_owned()), SALT, ROUNDS)?)
}

/// A tenant's id, the same in its database's marker and in the catalog.
fn tenant_id(number: u32) -> TenantId {
    /// The version and the variant of a UUIDv7; its time is that of no real tenant.
    const FORM: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;
    TenantId::from(Uuid::from_u128(FORM | u128::from(number)))
}

/// A connection string for all tenants of a range, with `{n}` in it.
pub(crate) fn template(port: u16) -> crate::target::Target {
    let text = format!("host=127.0.0.1 port={port} user=u{{n}} password={PASSWORD} dbname=t{{n}}");
    crate::target::Target::Template(text)
}

/// The name of one of a tenant's users; the first has the name of its role.
fn user(tenant: u32, index: u32) -> String {
    if index == 0 { format!("u{tenant}") } else { format!("u{tenant}-{index}") }
}

/// All users of these tenants.
pub(crate) fn user_target(
    port: u16,
    tenants: std::ops::Range<u32>,
    users_each: u32,
) -> crate::target::Target {
    crate::target::Target::Lines(user_lines(port, tenants, users_each).collect())
}

/// Connection strings of all users of these tenants.
pub(crate) fn user_lines(
    port: u16,
    tenants: std::ops::Range<u32>,
    users_each: u32,
) -> impl Iterator<Item = String> {
    let line = move |n, index| {
        format!("host=127.0.0.1 port={port} user={} password={PASSWORD} dbname=t{n}", user(n, index))
    };
    tenants.flat_map(move |n| (0..users_each).map(move |index| line(n, index)))
}

/// A free port, found by binding and letting go.
fn free_port() -> Result<u16, WorldError> {
    let path = std::path::Path::new("127.0.0.1");
    let bound = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(WorldError::file(path))?;
    Ok(bound.local_addr().map_err(WorldError::file(path))?.port())
}

//! Where the catalog is.

use crate::section::Section;
use serde::Serialize;
use std::path::PathBuf;
use tenancy::Secret;

/// The catalog's address and how many connections a process holds to it.
#[derive(Debug, Clone, Serialize)]
pub struct CatalogConfig {
    /// `catalog.dsn`, or the content of the file that `catalog.dsn_file` names, or
    /// `TENANTRY_CATALOG_DSN`, which wins. A `postgres://` URL or `key=value` text. One that holds a
    /// password belongs into the file or the variable. Required.
    #[serde(skip)]
    pub dsn: Secret,
    /// `catalog.pool_size`, connections for reads, and as many for transactions, 4. Too few and route look-ups
    /// of cold tenants wait for each other; too many and a large fleet uses up the catalog's
    /// `max_connections`. A gateway opens no transactions; it opens two more connections, to be notified of changes
    /// and of budgets, a control plane one.
    pub pool_size: u32,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self { dsn: Secret::new("postgres://postgres@127.0.0.1:5432/tenantry".to_owned()), pool_size: 4 }
    }
}

impl CatalogConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let config = Self {
            dsn: read_dsn(&mut section).unwrap_or(defaults.dsn),
            pool_size: section.number("pool_size", defaults.pool_size, &(1..=100)),
        };
        section.finish();
        config
    }
}

fn read_dsn(section: &mut Section<'_>) -> Option<Secret> {
    if let Some(dsn) = section.in_environment("dsn") {
        section.discard("dsn");
        section.discard("dsn_file");
        return Some(Secret::new(dsn));
    }
    match (section.gives("dsn"), section.gives("dsn_file")) {
        (true, true) => {
            section.discard("dsn");
            section.discard("dsn_file");
            section.problem("dsn", "is given twice: keep either dsn or dsn_file");
            None
        }
        (true, false) => section.optional::<String>("dsn").map(Secret::new),
        (false, true) => read_file(section, "dsn_file"),
        (false, false) => {
            let variable = section.variable("dsn");
            section.problem("dsn", format!("is missing (set dsn or dsn_file in the file, or {variable})"));
            None
        }
    }
}

/// Reads the secret in the file that `key` names; a file that cannot be read is a problem.
pub(crate) fn read_file(section: &mut Section<'_>, key: &str) -> Option<Secret> {
    let path: PathBuf = section.optional(key)?;
    match crate::master_key::read_secret_file(&path) {
        Ok(secret) => Some(secret),
        Err(why) => {
            section.problem(key, why.to_string());
            None
        }
    }
}

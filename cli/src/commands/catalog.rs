//! `tenantry catalog`: the one command besides `dev` that holds a catalog DSN.

use crate::cli::Options;
use crate::dev::chain;
use crate::exit::{CommandError, Exit};
use crate::output::{self, Format};
use config::ControlPlaneConfig;
use serde_json::json;
use std::path::PathBuf;
use tenancy::Secret;

/// What can be done with the catalog.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CatalogCommand {
    /// Bring the catalog's schema to this release's version; does nothing when it is there
    Migrate {
        /// The catalog's connection string
        #[arg(long, env = "TENANTRY_CATALOG_DSN", hide_env_values = true, value_name = "DSN")]
        dsn: Option<String>,
        /// A control plane's configuration file, to take the connection string from
        #[arg(long, value_name = "FILE", conflicts_with = "dsn")]
        config: Option<PathBuf>,
    },
}

impl CatalogCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let Self::Migrate { dsn, config } = self;
        let dsn = match (dsn, config) {
            (Some(dsn), _) => Secret::new(dsn),
            (None, Some(path)) => {
                let config = ControlPlaneConfig::load(&path)
                    .map_err(|error| CommandError::new(Exit::Usage, error.to_string()))?;
                config.catalog.dsn
            }
            (None, None) => {
                let message = "the catalog's connection string is missing";
                return Err(CommandError::new(Exit::Usage, message)
                    .hint("give --config or --dsn, or set TENANTRY_CATALOG_DSN"));
            }
        };
        let report = catalog_schema::migrate(&dsn)
            .await
            .map_err(|error| CommandError::new(Exit::Failure, chain(&error)))?;
        match options.output {
            Format::Json => output::json(&json!({ "applied": report.applied, "version": report.version })),
            Format::Table if report.applied.is_empty() => {
                output::print(&format!("the catalog is at version {} already\n", report.version))
            }
            Format::Table => output::print(&format!(
                "the catalog is at version {} now, {} migrations were applied\n",
                report.version,
                report.applied.len()
            )),
        }
    }
}

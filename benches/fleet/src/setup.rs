//! Makes tenants on a server of yours, and writes down how targets reach them.

use crate::world::catalog::{Place, Registry};
use crate::world::pgbouncer::{self, Settings};
use crate::world::{PASSWORD, WorldError, databases};
use catalog_schema::MasterKey;
use std::path::PathBuf;
use tenancy::{Limits, Secret};
use tokio_postgres::{Config, NoTls};

/// What to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// A superuser's connection string of the server; it holds only test data afterwards
    #[arg(long, value_name = "DSN")]
    admin: String,
    /// Tenants: databases t1, t2, … with roles u1, u2, …
    #[arg(long)]
    tenants: u32,
    /// Server connections of one tenant, at targets that are configured here
    #[arg(long, default_value_t = 4)]
    pool_size: u32,
    /// Write pgbouncer.ini and users into this directory
    #[arg(long, value_name = "DIR")]
    pgbouncer: Option<PathBuf>,
    /// The port that this PgBouncer is to listen on
    #[arg(long, default_value_t = 6432)]
    pgbouncer_port: u16,
    /// Register the tenants in this Tenantry catalog, whose schema is there
    #[arg(long, value_name = "DSN", requires = "master_key_file")]
    catalog: Option<String>,
    /// The installation's master key
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// What the catalog is to call the server
    #[arg(long, default_value = "fleet-1")]
    cluster: String,
    /// Connections that gateways may hold to the server
    #[arg(long, default_value_t = 100)]
    budget: u32,
    /// Tenants that the catalog is to know, if those are more than have a database
    #[arg(long)]
    known: Option<u32>,
}

impl Setup {
    /// Makes what is not there yet.
    ///
    /// # Errors
    /// When a server or the catalog refuses.
    pub(crate) async fn run(self) -> Result<(), WorldError> {
        let config: Config = self.admin.parse().map_err(WorldError::database("the connection string"))?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        databases::make(&self.admin, 1..self.tenants + 1).await?;
        println!("tenants 1 to {} are there; all have the password \"{PASSWORD}\"", self.tenants);
        println!("direct: host=127.0.0.1 port={port} user=u{{n}} password={PASSWORD} dbname=t{{n}}");
        if let Some(dir) = &self.pgbouncer {
            let ini = dir.join("pgbouncer.ini");
            std::fs::create_dir_all(dir).map_err(WorldError::file(dir))?;
            let settings = Settings {
                server_port: port,
                users: self.tenants,
                pool_size: self.pool_size,
                prepared: true,
            };
            pgbouncer::write_files(dir, &ini, self.pgbouncer_port, settings)?;
            println!("pgbouncer {}: the same with port={}", ini.display(), self.pgbouncer_port);
        }
        if let (Some(catalog), Some(key)) = (&self.catalog, &self.master_key_file) {
            self.register(catalog, key, &config, port).await?;
            println!("gateway: the same with its port");
        }
        Ok(())
    }

    async fn register(
        &self,
        catalog: &str,
        key: &std::path::Path,
        config: &Config,
        port: u16,
    ) -> Result<(), WorldError> {
        let key = MasterKey::from_file(key).map_err(|error| WorldError::Key(error.to_string()))?;
        let limits = Limits {
            pool_size: self.pool_size,
            client_limit: 2_000,
            queue_limit: 1_000,
            checkout_timeout_ms: 10_000,
            ..Limits::STANDARD
        };
        let registry = Registry::open(&Secret::new(catalog.to_owned()), key, limits).await?;
        let (admin, connection) =
            config.connect(NoTls).await.map_err(WorldError::database("a login as admin"))?;
        tokio::spawn(connection);
        let place = Place::of(&self.cluster, port, self.budget, &admin).await?;
        registry.register(&place, 1..self.known.unwrap_or(0).max(self.tenants) + 1, 1, Some(&admin)).await
    }
}

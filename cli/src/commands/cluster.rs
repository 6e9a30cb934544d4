//! `tenantry cluster`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::{CommandError, Exit};
use crate::output::{self, Column, Format};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tenancy::{ClusterName, ClusterState, RegionName, TlsMode};

const COLUMNS: &[Column] = &[
    ("CLUSTER", "/name"),
    ("REGION", "/region"),
    ("STATE", "/state"),
    ("HOST", "/host"),
    ("PORT", "/port"),
    ("TLS", "/tls_mode"),
    ("TENANTS", "/tenant_count"),
    ("CAPACITY", "/capacity"),
    ("BUDGET", "/connection_budget"),
];

/// How gateways share its connection budget.
const SHARES: &[Column] = &[
    ("GATEWAY", "/gateway"),
    ("NUMBER", "/gateway_number"),
    ("SHARE", "/share"),
    ("FLOOR", "/floor"),
    ("HELD", "/held"),
    ("WANTED", "/wanted"),
    ("EXPIRES", "/expires_at"),
];

/// What can be done with clusters.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClusterCommand {
    /// List all clusters
    List,
    /// Show one cluster
    Get {
        /// Its name
        name: String,
    },
    /// Register a PostgreSQL server; its version and our privileges are checked first
    Register {
        /// The name to give it, such as eu-1
        name: ClusterName,
        /// The region that it stands in
        #[arg(long)]
        region: RegionName,
        /// A superuser's connection string, or that of a role with CREATEDB and CREATEROLE; the
        /// variable keeps it out of the list of processes
        #[arg(long, env = "TENANTRY_ADMIN_DSN", hide_env_values = true, value_name = "DSN")]
        admin_dsn: String,
        #[command(flatten)]
        tls: Tls,
        /// Server connections that all gateways may hold to it together, over all tenants [default: the API's]
        #[arg(long)]
        connection_budget: Option<u32>,
        /// Tenants that it takes [default: the API's]
        #[arg(long)]
        capacity: Option<u32>,
    },
    /// Change a cluster
    Update(Update),
}

/// What can be changed about a cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Its name
    name: String,
    /// A new address or password of the same server
    #[arg(long, env = "TENANTRY_ADMIN_DSN", hide_env_values = true, value_name = "DSN")]
    admin_dsn: Option<String>,
    #[command(flatten)]
    tls: Tls,
    /// Server connections that all gateways may hold to it together; changes live
    #[arg(long)]
    connection_budget: Option<u32>,
    /// Tenants that it takes
    #[arg(long)]
    capacity: Option<u32>,
    /// active, draining (takes no new tenants) or offline (serves none)
    #[arg(long)]
    state: Option<ClusterState>,
}

/// How gateways and the control plane secure their connections to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Tls {
    /// disable, require, verify-ca or verify-full [default for a new cluster: verify-full]
    #[arg(long, value_name = "MODE")]
    tls_mode: Option<TlsMode>,
    /// The authorities of its certificate, in PEM; an empty name for those that the system trusts
    #[arg(long, value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,
    /// The name that its certificate is for; an empty one for its host
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
}

impl Tls {
    fn fields(&self) -> Result<[(&'static str, Option<Value>); 3], CommandError> {
        let ca = self.tls_ca_file.as_deref().map(read_ca).transpose()?;
        Ok([
            ("tls_mode", self.tls_mode.map(|mode| json!(mode))),
            ("tls_ca", ca.map(|pem| json!(pem))),
            ("tls_server_name", self.tls_server_name.as_ref().map(|name| json!(name))),
        ])
    }
}

fn read_ca(file: &Path) -> Result<String, CommandError> {
    if file.as_os_str().is_empty() {
        return Ok(String::new());
    }
    std::fs::read_to_string(file)
        .map_err(|error| CommandError::new(Exit::Usage, format!("cannot read {}: {error}", file.display())))
}

impl ClusterCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::List => {
                let clusters = client.list(&path(&["clusters"])).await?;
                options.output.listing(&clusters, COLUMNS, "there are no clusters")
            }
            Self::Get { name } => {
                let cluster = client.get(&path(&["clusters", &name])).await?;
                options.output.item(&cluster, COLUMNS)?;
                match (options.output, cluster["shares"].as_array()) {
                    (Format::Table, Some(shares)) if !shares.is_empty() => {
                        output::print("\n")?;
                        options.output.listing(shares, SHARES, "")
                    }
                    _ => Ok(()),
                }
            }
            Self::Register { name, region, admin_dsn, tls, connection_budget, capacity } => {
                let mut body = json!({ "name": name, "region": region, "admin_dsn": admin_dsn });
                for (key, value) in tls.fields()? {
                    if let Some(value) = value {
                        body[key] = value;
                    }
                }
                for (key, value) in [("connection_budget", connection_budget), ("capacity", capacity)] {
                    if let Some(value) = value {
                        body[key] = json!(value);
                    }
                }
                let cluster = client.change(Method::POST, &path(&["clusters"]), Some(&body)).await?;
                options.output.item(&cluster, COLUMNS)
            }
            Self::Update(update) => {
                let body = update.body()?;
                let path = path(&["clusters", &update.name]);
                let cluster = client.change(Method::PATCH, &path, Some(&body)).await?;
                options.output.item(&cluster, COLUMNS)
            }
        }
    }
}

impl Update {
    fn body(&self) -> Result<Value, CommandError> {
        let mut changes = vec![
            ("admin_dsn", self.admin_dsn.as_ref().map(|dsn| json!(dsn))),
            ("connection_budget", self.connection_budget.map(|budget| json!(budget))),
            ("capacity", self.capacity.map(|capacity| json!(capacity))),
            ("state", self.state.map(|state| json!(state))),
        ];
        changes.extend(self.tls.fields()?);
        let body: Map<String, Value> =
            changes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        if body.is_empty() {
            return Err(CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help"));
        }
        Ok(Value::Object(body))
    }
}

//! What a local stack consists of.

use config::{ControlPlaneConfig, GatewayConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// Changes settings that were read from a configuration file.
pub(super) type Adjust<C> = Arc<dyn Fn(&mut C) + Send + Sync>;

/// The ports that people use. 0 picks a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Ports {
    /// Port for PostgreSQL clients, 0 for any
    #[arg(long = "pg-port", value_name = "PORT", default_value_t = 6432)]
    pub pg: u16,
    /// Port for SQL over HTTP, 0 for any
    #[arg(long = "http-port", value_name = "PORT", default_value_t = 8080)]
    pub http: u16,
    /// Port for metrics and health, 0 for any
    #[arg(long = "admin-port", value_name = "PORT", default_value_t = 9090)]
    pub admin: u16,
    /// Port of the control plane's API, 0 for any
    #[arg(long = "control-plane-port", value_name = "PORT", default_value_t = 8081)]
    pub control_plane: u16,
}

impl Ports {
    /// Free ports only.
    pub const ANY: Self = Self { pg: 0, http: 0, admin: 0, control_plane: 0 };
}

/// One cluster of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its name, such as `eu-1`.
    pub name: String,
    /// Its region, such as `eu`.
    pub region: String,
    /// Server connections that the gateway may hold to it, over all tenants.
    pub connection_budget: u32,
    /// Tenants that it takes.
    pub capacity: u32,
}

impl ClusterSpec {
    /// A cluster with room for what one machine can do.
    #[must_use]
    pub fn new(name: &str, region: &str) -> Self {
        Self { name: name.to_owned(), region: region.to_owned(), connection_budget: 100, capacity: 10_000 }
    }
}

/// What a stack is to consist of, and where it is to live.
#[derive(Clone)]
pub struct StackOptions {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) durable: bool,
    pub(super) pg_bin: Option<PathBuf>,
    pub(super) ports: Ports,
    pub(super) clusters: Vec<ClusterSpec>,
    pub(super) adjust_gateway: Option<Adjust<GatewayConfig>>,
    pub(super) adjust_control_plane: Option<Adjust<ControlPlaneConfig>>,
}

impl StackOptions {
    /// A stack that is kept in `data_dir` and found again there.
    #[must_use]
    pub fn kept_in(data_dir: PathBuf) -> Self {
        Self { data_dir: Some(data_dir), durable: true, ..Self::ephemeral() }
    }

    /// A stack in a temporary directory, on free ports, that is gone when it stops.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            data_dir: None,
            durable: false,
            pg_bin: None,
            ports: Ports::ANY,
            clusters: vec![ClusterSpec::new("eu-1", "eu"), ClusterSpec::new("us-1", "us")],
            adjust_gateway: None,
            adjust_control_plane: None,
        }
    }

    /// Like [`StackOptions::ephemeral`], in a directory that holds nothing yet, and is left as it was found.
    #[must_use]
    pub fn ephemeral_in(data_dir: PathBuf) -> Self {
        Self { data_dir: Some(data_dir), ..Self::ephemeral() }
    }

    /// Where PostgreSQL's programs are, if not where they are looked for.
    #[must_use]
    pub fn pg_bin(mut self, dir: Option<PathBuf>) -> Self {
        self.pg_bin = dir;
        self
    }

    /// The ports to use.
    #[must_use]
    pub const fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// The clusters to have, instead of one each in `eu` and `us`.
    #[must_use]
    pub fn clusters(mut self, clusters: Vec<ClusterSpec>) -> Self {
        self.clusters = clusters;
        self
    }

    /// Changes the gateway's settings.
    #[must_use]
    pub fn gateway(mut self, adjust: impl Fn(&mut GatewayConfig) + Send + Sync + 'static) -> Self {
        self.adjust_gateway = Some(Arc::new(adjust));
        self
    }

    /// Changes the control plane's settings.
    #[must_use]
    pub fn control_plane(mut self, adjust: impl Fn(&mut ControlPlaneConfig) + Send + Sync + 'static) -> Self {
        self.adjust_control_plane = Some(Arc::new(adjust));
        self
    }
}

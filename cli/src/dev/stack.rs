//! The stack: everything started in order, watched, and stopped in the opposite order.

use super::home::{Home, Secrets};
use super::planes::{self, Plane};
use super::servers::{self, Named, Servers};
use super::{DevError, Ports, StackOptions, configs, files, ports, register};
use crate::client::{Client, DESCRIPTOR_NAME, Descriptor, DescriptorCluster, DescriptorGateway, Endpoint};
use gateway::Addresses;
use launcher::Server;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenancy::Secret;

/// How soon a server that ended by itself is noticed.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// A running stack. Dropping it stops everything, though less politely than [`Stack::stop`].
pub struct Stack {
    // Planes before servers, servers before the directory: fields are dropped in this order.
    gateway: Option<Plane>,
    /// Those that were started beside it.
    other_gateways: Vec<Plane>,
    control_plane: Option<Plane>,
    servers: Servers,
    options: StackOptions,
    addresses: Addresses,
    control_plane_address: SocketAddr,
    client: Client,
    descriptor: Descriptor,
    postgres_version: String,
    home: Home,
}

impl Stack {
    /// Starts everything and waits until tenants can be made and reached.
    ///
    /// # Errors
    /// When any part does not start; what had been started is stopped again.
    pub async fn start(options: StackOptions) -> Result<Self, DevError> {
        Self::start_logged(options, |_| Ok::<_, DevError>(())).await
    }

    /// The same, with a chance to open a log in the stack's directory before anything is logged.
    ///
    /// # Errors
    /// Also those of `open_log`.
    pub async fn start_logged<E: From<DevError>>(
        options: StackOptions,
        open_log: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Self, E> {
        let home = Home::open(&options, &servers::account()?)?;
        // After the lock: that the same stack runs already says more than that its ports are taken.
        ports::check_free(options.ports)?;
        open_log(home.path())?;
        Ok(Self::start_in(options, home).await?)
    }

    async fn start_in(options: StackOptions, home: Home) -> Result<Self, DevError> {
        // One of an earlier run would lead scripts to ports where nobody is.
        let _ = fs::remove_file(home.file(DESCRIPTOR_NAME));
        let secrets = home.secrets()?;
        let servers = servers::start(&options, &home).await?;
        let catalog_dsn = servers::prepare_catalog(&servers.catalog).await?;
        configs::write_catalog_dsn(&home, &catalog_dsn)?;

        let gateway_config = configs::gateway(&home, &options, options.ports)?;
        let (gateway, addresses) = planes::start_gateway(gateway_config).await?;
        let config = configs::control_plane(
            &home,
            &options,
            options.ports.control_plane,
            addresses.pg,
            addresses.http,
        )?;
        let (control_plane, control_plane_address) = planes::start_control_plane(config).await?;

        let url = format!("http://{control_plane_address}");
        let endpoint = Endpoint { url: url.clone(), token: Some(secrets.operator_token.clone()), ca: None };
        let client = Client::new(&endpoint)
            .map_err(|source| DevError::Register { what: "anything".to_owned(), source })?;
        register::register(&client, &options.clusters, &servers.clusters).await?;
        let descriptor = describe(&options, &servers, &addresses, &url, &catalog_dsn, &secrets);
        let stack = Self {
            gateway: Some(gateway),
            other_gateways: Vec::new(),
            control_plane: Some(control_plane),
            postgres_version: servers.catalog.version().to_owned(),
            servers,
            options,
            addresses,
            control_plane_address,
            client,
            descriptor,
            home,
        };
        stack.write_configs()?;
        stack.write_descriptor()?;
        Ok(stack)
    }

    /// What `dev.json` says.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// A client of the control plane.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The gateway's addresses.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where everything is kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.home.path()
    }

    /// The version of the servers.
    #[must_use]
    pub fn postgres_version(&self) -> &str {
        &self.postgres_version
    }

    /// The configuration file that a control plane of this stack can be started from.
    #[must_use]
    pub fn control_plane_config(&self) -> PathBuf {
        configs::control_plane_path(&self.home)
    }

    /// The configuration file that a gateway of this stack can be started from.
    #[must_use]
    pub fn gateway_config(&self) -> PathBuf {
        configs::gateway_path(&self.home)
    }

    /// The catalog's server.
    pub const fn catalog(&mut self) -> &mut Server {
        &mut self.servers.catalog
    }

    /// A cluster's server.
    pub fn cluster(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.clusters.iter_mut().find(|named| named.name == name).map(|named| &mut named.server)
    }

    /// Stops the control plane in order.
    ///
    /// # Errors
    /// When it ends with an error.
    pub async fn stop_control_plane(&mut self) -> Result<(), DevError> {
        match self.control_plane.take() {
            Some(plane) => plane.stop().await,
            None => Ok(()),
        }
    }

    /// Starts the control plane again, at its old address.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_control_plane(&mut self) -> Result<(), DevError> {
        self.stop_control_plane().await?;
        let port = self.control_plane_address.port();
        let Addresses { pg, http, .. } = self.addresses;
        let config = configs::control_plane(&self.home, &self.options, port, pg, http)?;
        self.control_plane = Some(planes::start_control_plane(config).await?.0);
        Ok(())
    }

    /// Stops the gateway in order: running transactions may end.
    ///
    /// # Errors
    /// When it ends with an error.
    pub async fn stop_gateway(&mut self) -> Result<(), DevError> {
        match self.gateway.take() {
            Some(plane) => plane.stop().await,
            None => Ok(()),
        }
    }

    /// Starts the gateway again, at its old addresses.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_gateway(&mut self) -> Result<(), DevError> {
        self.stop_gateway().await?;
        let config = configs::gateway(&self.home, &self.options, self.ports())?;
        self.gateway = Some(planes::start_gateway(config).await?.0);
        Ok(())
    }

    /// Starts one more gateway beside the first, on free ports. It stops with the stack.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_another_gateway(&mut self) -> Result<Addresses, DevError> {
        let config = configs::gateway(&self.home, &self.options, Ports::ANY)?;
        // That has written the first one's file anew.
        self.write_configs()?;
        let (gateway, addresses) = planes::start_gateway(config).await?;
        self.other_gateways.push(gateway);
        Ok(addresses)
    }

    /// Waits until a part ends that should not, and says which.
    pub async fn failure(&mut self) -> DevError {
        loop {
            let planes = async {
                tokio::select! {
                    error = unexpected_end(&mut self.gateway) => error,
                    error = unexpected_end(&mut self.control_plane) => error,
                }
            };
            if let Ok(error) = tokio::time::timeout(WATCH_INTERVAL, planes).await {
                return error;
            }
            if let Some(error) = self.servers.ended() {
                return error;
            }
        }
    }

    /// Stops everything in order: clients are drained, servers write a last checkpoint.
    ///
    /// # Errors
    /// The first part that did not stop as it should; all others have been stopped nevertheless.
    pub async fn stop(mut self) -> Result<(), DevError> {
        let _ = fs::remove_file(self.home.file(DESCRIPTOR_NAME));
        let mut gateway = self.stop_gateway().await;
        for other in std::mem::take(&mut self.other_gateways) {
            gateway = gateway.and(other.stop().await);
        }
        let control_plane = self.stop_control_plane().await;
        let Self { servers, home, .. } = self;
        let servers = servers.stop().await;
        drop(home);
        gateway.and(control_plane).and(servers)
    }

    fn ports(&self) -> Ports {
        Ports {
            pg: self.addresses.pg.port(),
            http: self.addresses.http.port(),
            admin: self.addresses.admin.port(),
            control_plane: self.control_plane_address.port(),
        }
    }

    /// Writes the files again, with the ports that were chosen for 0.
    fn write_configs(&self) -> Result<(), DevError> {
        let Addresses { pg, http, .. } = self.addresses;
        configs::gateway(&self.home, &self.options, self.ports())?;
        configs::control_plane(&self.home, &self.options, self.control_plane_address.port(), pg, http)?;
        Ok(())
    }

    fn write_descriptor(&self) -> Result<(), DevError> {
        let text = serde_json::to_string_pretty(&self.descriptor).expect("texts always serialise");
        files::write_private(&self.home.file(DESCRIPTOR_NAME), &format!("{text}\n"))
    }
}

async fn unexpected_end(plane: &mut Option<Plane>) -> DevError {
    match plane {
        Some(running) => match running.ended().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn describe(
    options: &StackOptions,
    servers: &Servers,
    addresses: &Addresses,
    control_plane: &str,
    catalog_dsn: &Secret,
    secrets: &Secrets,
) -> Descriptor {
    let cluster = |(spec, named): (&super::ClusterSpec, &Named)| DescriptorCluster {
        name: spec.name.clone(),
        region: spec.region.clone(),
        admin_dsn: named.server.dsn("postgres").expose().to_owned(),
    };
    Descriptor {
        gateway: DescriptorGateway {
            pg: addresses.pg.to_string(),
            http: format!("http://{}", addresses.http),
            admin: format!("http://{}", addresses.admin),
            console: format!(
                "postgres://{}:{}@{}/{}",
                configs::CONSOLE_USER,
                secrets.console_password.expose(),
                addresses.pg,
                gateway::console::DATABASE,
            ),
        },
        control_plane: control_plane.to_owned(),
        operator_token: secrets.operator_token.expose().to_owned(),
        catalog_dsn: catalog_dsn.expose().to_owned(),
        clusters: options.clusters.iter().zip(&servers.clusters).map(cluster).collect(),
    }
}

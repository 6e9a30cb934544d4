//! Where the control plane is, and the token that opens it.

use crate::dev::default_data_dir;
use crate::exit::{CommandError, Exit};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tenancy::Secret;

/// The file that a running `tenantry dev` describes itself in. People's scripts read it.
pub const DESCRIPTOR_NAME: &str = "dev.json";

/// The content of `dev.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descriptor {
    /// The gateway's addresses.
    pub gateway: DescriptorGateway,
    /// The control plane's URL.
    pub control_plane: String,
    /// The key to it.
    pub operator_token: String,
    /// The administrator's connection string of the catalog.
    pub catalog_dsn: String,
    /// The clusters.
    pub clusters: Vec<DescriptorCluster>,
}

/// The gateway's addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DescriptorGateway {
    /// Host and port for PostgreSQL clients.
    pub pg: String,
    /// The URL of SQL over HTTP, without a path.
    pub http: String,
    /// The URL of metrics and health, without a path.
    pub admin: String,
    /// An operator's connection string of the console.
    #[serde(default)]
    pub console: String,
}

/// One cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DescriptorCluster {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The administrator's connection string.
    pub admin_dsn: String,
}

/// Which control plane to speak to, as options and environment say.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EndpointOptions {
    /// The control plane's URL
    #[arg(long, global = true, env = "TENANTRY_URL", help_heading = "Control plane")]
    pub url: Option<String>,
    /// The operator token, or the token of a session or an API key
    #[arg(
        long,
        global = true,
        env = "TENANTRY_TOKEN",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    pub token: Option<String>,
    /// The authority of the control plane's certificate, in PEM [default: those that the system trusts]
    #[arg(
        long,
        global = true,
        env = "TENANTRY_CA_FILE",
        value_name = "FILE",
        help_heading = "Control plane"
    )]
    pub ca_file: Option<PathBuf>,
    /// The data directory of a running `tenantry dev` [default: the one that runs]
    #[arg(
        long,
        global = true,
        env = "TENANTRY_DATA_DIR",
        value_name = "DIR",
        help_heading = "Control plane"
    )]
    pub data_dir: Option<PathBuf>,
}

/// A control plane and the key to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    /// The operator's token, or a person's or tenant's; none for what is open to everybody.
    pub token: Option<Secret>,
    /// The authority of its certificate, in PEM; none for those that the system trusts.
    pub ca: Option<String>,
}

impl EndpointOptions {
    /// Finds the control plane: `--url` with `--token`; or the `dev.json` of `--data-dir`, else of the
    /// `tenantry dev` that was started last, else of the default directory.
    ///
    /// # Errors
    /// When neither way leads to one, or there is no token.
    pub fn find(&self) -> Result<Endpoint, CommandError> {
        let endpoint = self.place()?;
        if endpoint.token.is_none() {
            let message = "the operator token is missing";
            return Err(CommandError::new(Exit::Unauthorized, message).hint("set --token or TENANTRY_TOKEN"));
        }
        Ok(endpoint)
    }

    /// The same for what is open to everybody: nobody's token is shown there.
    ///
    /// # Errors
    /// When neither way leads to one.
    pub fn find_public(&self) -> Result<Endpoint, CommandError> {
        Ok(Endpoint { token: None, ..self.place()? })
    }

    /// Where it is, with the token that was given, if any.
    fn place(&self) -> Result<Endpoint, CommandError> {
        // A variable that is set to nothing is not set.
        if let Some(url) = self.url.as_ref().filter(|url| !url.is_empty()) {
            return self.named(url);
        }
        let endpoint = match &self.data_dir {
            Some(dir) => from_descriptor(dir)?,
            None => {
                let dir = crate::dev::running_data_dir().unwrap_or_else(default_data_dir);
                from_descriptor(&dir)?
            }
        };
        match &self.token {
            Some(token) => Ok(Endpoint { token: Some(Secret::new(token.clone())), ..endpoint }),
            None => Ok(endpoint),
        }
    }

    fn named(&self, url: &str) -> Result<Endpoint, CommandError> {
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            let message = format!("\"{url}\" is not a URL that this client can speak to");
            return Err(CommandError::new(Exit::Usage, message).hint("give it as https://host:port"));
        }
        let token = match (&self.token, &self.data_dir) {
            (Some(token), _) => Some(Secret::new(token.clone())),
            (None, Some(dir)) => from_descriptor(dir)?.token,
            (None, None) => None,
        };
        let ca = self.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty());
        let ca = ca.map(std::fs::read_to_string).transpose().map_err(|error| {
            CommandError::new(
                Exit::Usage,
                format!("cannot read the file of the certificate authority: {error}"),
            )
        })?;
        Ok(Endpoint { url: url.to_owned(), token, ca })
    }
}

/// Reads the `dev.json` in a data directory.
fn from_descriptor(dir: &Path) -> Result<Endpoint, CommandError> {
    let path = dir.join(DESCRIPTOR_NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let nothing = error.kind() == std::io::ErrorKind::NotFound;
        let (exit, message) = if nothing {
            (Exit::Unavailable, format!("no \"tenantry dev\" is running in {}", dir.display()))
        } else {
            (Exit::Failure, format!("cannot read {}: {error}", path.display()))
        };
        CommandError::new(exit, message)
            .hint("start one with \"tenantry dev\", or name a control plane with --url and --token")
    })?;
    let descriptor: Descriptor = serde_json::from_str(&text).map_err(|error| {
        CommandError::new(Exit::Failure, format!("cannot understand {}: {error}", path.display()))
    })?;
    let token = Some(Secret::new(descriptor.operator_token));
    Ok(Endpoint { url: descriptor.control_plane, token, ca: None })
}

//! The configuration files of both planes, written as an operator would write them.
//!
//! They are read back like any other, without the environment: a variable that is meant for the verbs,
//! such as `TENANTRY_CATALOG_DSN`, must not send the local stack elsewhere. A test can run a plane as a
//! process of its own from the same file.

use super::home::Home;
use super::{DevError, Ports, StackOptions, files};
use config::{ConfigError, ControlPlaneConfig, GatewayConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use tenancy::Secret;

/// The one gateway of a stack stands in the region of its first cluster.
const FALLBACK_REGION: &str = "eu";

/// The console's user.
pub(super) const CONSOLE_USER: &str = "tenantry";

/// A drain that a person at a terminal is willing to wait for.
const DRAIN_TIMEOUT_MS: u64 = 3_000;

pub(super) fn gateway_path(home: &Home) -> PathBuf {
    home.file("gateway.toml")
}

pub(super) fn control_plane_path(home: &Home) -> PathBuf {
    home.file("control-plane.toml")
}

/// Writes where the catalog is, for both planes.
pub(super) fn write_catalog_dsn(home: &Home, dsn: &Secret) -> Result<(), DevError> {
    files::write_private(&home.file("catalog-dsn"), &format!("{}\n", dsn.expose()))
}

/// Writes and reads the gateway's file.
pub(super) fn gateway(home: &Home, options: &StackOptions, ports: Ports) -> Result<GatewayConfig, DevError> {
    let region = options.clusters.first().map_or(FALLBACK_REGION, |spec| spec.region.as_str());
    let text = format!(
        "name = \"dev\"\nregion = {region}\nmaster_key_file = {key}\ndrain_timeout_ms = {DRAIN_TIMEOUT_MS}\n\n\
         [listen]\npg = \"127.0.0.1:{pg}\"\nhttp = \"127.0.0.1:{http}\"\nadmin = \"127.0.0.1:{admin}\"\n\n\
         [catalog]\ndsn_file = {dsn}\n\n\
         [console]\nusers = [{{ name = \"{CONSOLE_USER}\", role = \"admin\", password_file = {console} }}]\n",
        region = quoted(region),
        key = quoted_path(home, "master-key"),
        pg = ports.pg,
        http = ports.http,
        admin = ports.admin,
        dsn = quoted_path(home, "catalog-dsn"),
        console = quoted_path(home, "console-password"),
    );
    let path = gateway_path(home);
    files::write_private(&path, &text)?;
    let mut config = GatewayConfig::parse(&text, |_| None).map_err(|error| damaged(path, &error))?;
    if let Some(adjust) = &options.adjust_gateway {
        adjust(&mut config);
    }
    Ok(config)
}

/// Writes and reads the control plane's file. It tells clients the gateway's addresses, so those come first.
pub(super) fn control_plane(
    home: &Home,
    options: &StackOptions,
    port: u16,
    gateway_pg: SocketAddr,
    gateway_http: SocketAddr,
) -> Result<ControlPlaneConfig, DevError> {
    let text = format!(
        "listen = \"127.0.0.1:{port}\"\nmaster_key_file = {key}\noperator_token_file = {token}\n\n\
         [catalog]\ndsn_file = {dsn}\n\n\
         [gateway_endpoint]\npg_host = \"{host}\"\npg_port = {pg_port}\nhttp_url = \"http://{gateway_http}\"\n",
        key = quoted_path(home, "master-key"),
        token = quoted_path(home, "operator-token"),
        dsn = quoted_path(home, "catalog-dsn"),
        host = gateway_pg.ip(),
        pg_port = gateway_pg.port(),
    );
    let path = control_plane_path(home);
    files::write_private(&path, &text)?;
    let mut config = ControlPlaneConfig::parse(&text, |_| None).map_err(|error| damaged(path, &error))?;
    if let Some(adjust) = &options.adjust_control_plane {
        adjust(&mut config);
    }
    Ok(config)
}

fn damaged(path: PathBuf, error: &ConfigError) -> DevError {
    DevError::Damaged { path, reason: error.to_string() }
}

fn quoted_path(home: &Home, name: &str) -> String {
    quoted(&home.file(name).display().to_string())
}

/// A TOML string, whatever characters a directory's name has.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

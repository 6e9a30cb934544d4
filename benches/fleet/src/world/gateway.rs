//! A Tenantry gateway as a process of its own, from the program that is given.

use super::WorldError;
use super::catalog::CatalogServer;
use super::free_port;
use super::process::Process;
use std::fs;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What of it is to be known.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) port: u16,
    /// The URL of SQL over HTTP, without a path.
    pub(crate) http: String,
    /// From its start to its being ready.
    pub(crate) ready_seconds: f64,
}

impl Gateway {
    /// Starts it before the catalog's tenants, under this name.
    pub(crate) async fn start(
        program: &Path,
        home: &Path,
        name: &str,
        catalog: &CatalogServer,
    ) -> Result<Self, WorldError> {
        let (port, http, admin) = (free_port()?, free_port()?, free_port()?);
        let config = home.join(format!("{name}.toml"));
        let text = format!(
            "name = {name:?}\nregion = \"fleet\"\nmaster_key_file = {key:?}\ndrain_timeout_ms = 1000\n\n\
             [listen]\npg = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\nadmin = \"127.0.0.1:{admin}\"\n\n\
             [catalog]\ndsn_file = {dsn:?}\n\n[limits]\nclient_limit = 50000\n",
            key = catalog.key_file().display().to_string(),
            dsn = catalog.dsn_file().display().to_string(),
        );
        fs::write(&config, text).map_err(WorldError::file(&config))?;
        let arguments = ["gateway".to_owned(), "--config".to_owned(), config.display().to_string()];
        let begun = std::time::Instant::now();
        let mut process = Process::start(program, &arguments, &home.join(format!("{name}.log")))?;
        process.ready(async || is_ready(admin).await.unwrap_or(false)).await?;
        Ok(Self {
            process,
            port,
            http: format!("http://127.0.0.1:{http}"),
            ready_seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

/// Does what listens on this port of the machine say that it is ready?
pub(super) async fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.ends_with(b" 200"))
}

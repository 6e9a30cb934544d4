//! TLS towards the servers of each cluster.

use super::TlsError;
use crate::stream::ServerStream;
use catalog_schema::ClusterTls;
use rustls::RootCertStore;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;

/// How connections to one server are secured.
pub struct ServerTls(net::tls::ServerTls);

impl ServerTls {
    /// Secures a connection on which the server has agreed to it.
    ///
    /// # Errors
    /// The server breaks off, or is not who it should be.
    pub async fn secure(&self, stream: TcpStream) -> io::Result<ServerStream> {
        Ok(ServerStream::Tls(Box::new(self.0.handshake(stream).await?)))
    }
}

/// The settings in use, each once: thousands of pools lead to a few clusters.
#[derive(Default)]
pub struct ServerTlsSettings(net::tls::ServerTlsSettings);

impl ServerTlsSettings {
    /// None in use yet. `system` are the authorities for clusters that name none.
    #[must_use]
    pub fn new(system: RootCertStore) -> Self {
        Self(net::tls::ServerTlsSettings::new(system))
    }

    /// How to secure connections to this host of a cluster. `None`: not at all.
    ///
    /// # Errors
    /// The cluster's authorities or its name are of no use.
    pub fn of(&self, tls: &ClusterTls, host: &str) -> Result<Option<Arc<ServerTls>>, TlsError> {
        let name = tls.server_name.as_deref().unwrap_or(host);
        let found = self.0.of(tls.mode, tls.ca.as_deref(), name)?;
        Ok(found.map(|tls| Arc::new(ServerTls(tls))))
    }
}

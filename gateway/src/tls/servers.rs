//! TLS towards the servers of each cluster.

use super::verify::{Authorities, Verifier};
use super::{ALPN_POSTGRES, TlsError, provider};
use crate::stream::ServerStream;
use catalog_schema::ClusterTls;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tenancy::TlsMode;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How connections to one server are secured.
pub struct ServerTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ServerTls {
    /// Secures a connection on which the server has agreed to it.
    ///
    /// # Errors
    /// The server breaks off, or is not who it should be.
    pub async fn secure(&self, stream: TcpStream) -> io::Result<ServerStream> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(self.name.clone(), stream).await?;
        Ok(ServerStream::Tls(Box::new(stream)))
    }
}

/// The settings in use, each once: thousands of pools lead to a few clusters.
pub struct ServerTlsSettings {
    system: Arc<RootCertStore>,
    /// As many as there are clusters with settings of their own; those that no pool uses any more go.
    in_use: Mutex<HashMap<(TlsMode, Option<String>), Weak<ClientConfig>>>,
}

/// On a system that trusts nobody.
impl Default for ServerTlsSettings {
    fn default() -> Self {
        Self::new(RootCertStore::empty())
    }
}

impl ServerTlsSettings {
    /// None in use yet. `system` are the authorities for clusters that name none.
    #[must_use]
    pub fn new(system: RootCertStore) -> Self {
        Self { system: Arc::new(system), in_use: Mutex::default() }
    }

    /// How to secure connections to this host of a cluster. `None`: not at all.
    ///
    /// # Errors
    /// The cluster's authorities or its name are of no use.
    pub fn of(&self, tls: &ClusterTls, host: &str) -> Result<Option<Arc<ServerTls>>, TlsError> {
        if tls.mode == TlsMode::Disable {
            return Ok(None);
        }
        let name = tls.server_name.as_deref().unwrap_or(host);
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_bad| TlsError::ServerName(name.to_owned()))?;
        let config = self.config(tls)?;
        Ok(Some(Arc::new(ServerTls { config, name })))
    }

    fn config(&self, tls: &ClusterTls) -> Result<Arc<ClientConfig>, TlsError> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tls.mode, tls.ca.clone());
        if let Some(config) = in_use.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let config = Arc::new(self.make(tls)?);
        in_use.retain(|_, config| config.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    fn make(&self, tls: &ClusterTls) -> Result<ClientConfig, TlsError> {
        let verifier = match tls.mode {
            TlsMode::Disable | TlsMode::Require => Verifier::of_nothing(),
            TlsMode::VerifyCa => Verifier::by(self.authorities(tls)?, false),
            TlsMode::VerifyFull => Verifier::by(self.authorities(tls)?, true),
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN_POSTGRES.to_vec()];
        // PostgreSQL resumes no sessions.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn authorities(&self, tls: &ClusterTls) -> Result<Authorities, TlsError> {
        match &tls.ca {
            Some(pem) => Authorities::from_pem(pem),
            None => Ok(Authorities::of_the_system(&self.system)),
        }
    }
}

//! How connections to servers are secured.

use super::verify::{Authorities, Verifier};
use super::{ALPN_POSTGRES, ServerTlsError, provider};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tenancy::TlsMode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How connections to one server are secured.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ServerTls {
    /// Secures a connection on which the server has agreed to it.
    ///
    /// # Errors
    /// The server breaks off, or is not who it should be.
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }
}

/// What is demanded, and the authorities in PEM where they are not the system's.
type Terms = (TlsMode, Option<String>);

/// The settings in use, each once: thousands of connections lead to a few servers.
pub struct ServerTlsSettings {
    system: Arc<RootCertStore>,
    /// As many as there are servers with settings of their own; those that nobody uses any more go.
    in_use: Mutex<HashMap<Terms, Weak<ClientConfig>>>,
}

/// On a system that trusts nobody.
impl Default for ServerTlsSettings {
    fn default() -> Self {
        Self::new(RootCertStore::empty())
    }
}

impl ServerTlsSettings {
    /// None in use yet. `system` are the authorities for servers that name none.
    #[must_use]
    pub fn new(system: RootCertStore) -> Self {
        Self { system: Arc::new(system), in_use: Mutex::default() }
    }

    /// How to secure connections to a server whose certificate is for `name`. `ca` are the certificates of its
    /// authorities in PEM, the system's if there are none. `None`: not at all.
    ///
    /// # Errors
    /// The authorities or the name are of no use.
    pub fn of(
        &self,
        mode: TlsMode,
        ca: Option<&str>,
        name: &str,
    ) -> Result<Option<ServerTls>, ServerTlsError> {
        if mode == TlsMode::Disable {
            return Ok(None);
        }
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_bad| ServerTlsError::ServerName(name.to_owned()))?;
        Ok(Some(ServerTls { config: self.config(mode, ca)?, name: server_name }))
    }

    /// The settings alone, for who names the server at each connection.
    ///
    /// # Errors
    /// The authorities are of no use.
    pub fn config(&self, mode: TlsMode, ca: Option<&str>) -> Result<Arc<ClientConfig>, ServerTlsError> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (mode, ca.map(str::to_owned));
        if let Some(config) = in_use.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let config = Arc::new(self.make(mode, ca)?);
        in_use.retain(|_, config| config.strong_count() > 0);
        in_use.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    fn make(&self, mode: TlsMode, ca: Option<&str>) -> Result<ClientConfig, ServerTlsError> {
        let verifier = match mode {
            TlsMode::Disable | TlsMode::Require => Verifier::of_nothing(),
            TlsMode::VerifyCa => Verifier::by(self.authorities(ca)?, false),
            TlsMode::VerifyFull => Verifier::by(self.authorities(ca)?, true),
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

    fn authorities(&self, ca: Option<&str>) -> Result<Authorities, ServerTlsError> {
        match ca {
            Some(pem) => Authorities::from_pem(pem),
            None => Ok(Authorities::of_the_system(&self.system)),
        }
    }
}

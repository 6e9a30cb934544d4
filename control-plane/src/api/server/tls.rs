//! TLS of the API's listener. A new certificate is taken in when its files have changed, for connections from then on;
//! one that is of no use is complained about, and the one before stays.

use arc_swap::ArcSwap;
use config::CertificateFiles;
use net::tls::{pem, provider};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenancy::Secret;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How often to look whether the files have changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP's versions, the better one first (RFC 9113 §3.2, RFC 7301 §6).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate cannot be used. Says nothing of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not ours to read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there and of no use.
    #[error("{} {what}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is the matter with it.
        what: String,
    },
}

/// The certificate in use, and where it comes from.
pub(crate) struct Tls {
    files: CertificateFiles,
    current: ArcSwap<ServerConfig>,
    /// The files' last state that was looked at, good or bad; none if they could not be read.
    seen: Mutex<Option<Contents>>,
}

/// What is in the two files.
struct Contents {
    cert: String,
    key: Secret,
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert && self.key.expose() == other.key.expose()
    }
}

impl Tls {
    /// Reads the certificate.
    ///
    /// # Errors
    /// It is of no use.
    pub(crate) fn new(files: CertificateFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let current = ArcSwap::from_pointee(contents.config(&files)?);
        Ok(Self { files, current, seen: Mutex::new(Some(contents)) })
    }

    /// Makes a connection an encrypted one.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(self.current.load_full()).accept(stream);
        timeout(HANDSHAKE_TIMEOUT, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Follows the files until `shutdown`.
    pub(crate) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RELOAD_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            let tls = Arc::clone(&self);
            // Files may lie on a disk that is slow, or on none.
            if tokio::task::spawn_blocking(move || tls.look()).await.is_err() {
                return;
            }
        }
    }

    fn look(&self) {
        let found = Contents::read(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken_in = match &found {
            Ok(contents) if seen.as_ref() == Some(contents) => return,
            Ok(contents) => contents.config(&self.files),
            Err(_) if seen.is_none() => return,
            Err(_) => {
                tracing::error!("the API's certificate can no longer be read; the one in use stays");
                *seen = None;
                return;
            }
        };
        *seen = found.ok();
        match taken_in {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!("the API has a new certificate");
            }
            Err(error) => {
                tracing::error!(%error, "the API's new certificate is of no use; the one before stays");
            }
        }
    }
}

impl Contents {
    fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.clone(), source })
        };
        Ok(Self { cert: read(&files.cert_file)?, key: Secret::new(read(&files.key_file)?) })
    }

    fn config(&self, files: &CertificateFiles) -> Result<ServerConfig, TlsError> {
        let unusable = |path: &PathBuf, what: String| TlsError::Unusable { path: path.clone(), what };
        let chain = pem::chain(&self.cert).map_err(|what| unusable(&files.cert_file, what))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(|_no_key| {
            unusable(&files.key_file, "holds no private key in PEM that is not encrypted".to_owned())
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|why| unusable(&files.cert_file, format!("cannot be used: {why}")))?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn write(files: &CertificateFiles) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["api".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(&files.cert_file, cert.pem()).unwrap();
        std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_new_certificate_is_taken_in_and_a_bad_one_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let files = CertificateFiles { cert_file: dir.path().join("crt"), key_file: dir.path().join("key") };
        assert!(matches!(Tls::new(files.clone()), Err(TlsError::Read { .. })));
        write(&files);
        let tls = Tls::new(files.clone()).unwrap();
        let first = tls.current.load_full();
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.current.load_full()), "nothing has changed");
        std::fs::write(&files.key_file, "no key").unwrap();
        tls.look();
        std::fs::remove_file(&files.key_file).unwrap();
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.current.load_full()), "what is there is of no use");
        write(&files);
        tls.look();
        assert!(!Arc::ptr_eq(&first, &tls.current.load_full()));
    }
}

//! Certificates and keys as files.

use super::TlsError;
use config::TlsConfig;
pub use net::tls::pem::chain;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tenancy::Secret;

/// A chain of certificates has some kilobytes, a bundle of all public authorities a few hundred.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// All files that the settings name, as they are at one time.
pub struct Contents {
    /// For each certificate its file, what is in it, and its key's file and what is in that.
    pub certificates: Vec<Pair>,
    /// The authorities of clients.
    pub client_ca: Option<(PathBuf, String)>,
    /// Tells these contents from others.
    pub fingerprint: [u8; 32],
}

/// A certificate and its key, still as text.
pub struct Pair {
    /// Where the certificate stands.
    pub cert_file: PathBuf,
    /// Where the key stands.
    pub key_file: PathBuf,
    cert: String,
    key: Secret,
}

impl Contents {
    /// Reads all files. Blocks.
    ///
    /// # Errors
    /// The first one that cannot be read.
    pub fn read(settings: &TlsConfig) -> Result<Self, TlsError> {
        let mut hash = Sha256::new();
        let mut note = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text.as_bytes());
        };
        let mut certificates = Vec::with_capacity(settings.certificates.len());
        for files in &settings.certificates {
            let (cert, key) = (read(&files.cert_file)?, Secret::new(read(&files.key_file)?));
            note(&cert);
            note(key.expose());
            let (cert_file, key_file) = (files.cert_file.clone(), files.key_file.clone());
            certificates.push(Pair { cert_file, key_file, cert, key });
        }
        let client_ca = match &settings.client_ca_file {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        if let Some((_, text)) = &client_ca {
            note(text);
        }
        Ok(Self { certificates, client_ca, fingerprint: hash.finalize().into() })
    }
}

impl Pair {
    /// The certificate, and those between it and its authority.
    ///
    /// # Errors
    /// There is none, or the file is broken.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        chain(&self.cert).map_err(|what| TlsError::Unusable { path: self.cert_file.clone(), what })
    }

    /// The key.
    ///
    /// # Errors
    /// There is none, or the file is broken.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(|_no_key| TlsError::Unusable {
            path: self.key_file.clone(),
            what: "holds no private key in PEM that is not encrypted".to_owned(),
        })
    }
}

fn read(path: &Path) -> Result<String, TlsError> {
    let bounded = || {
        let mut text = String::new();
        let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if u64::try_from(read).is_ok_and(|read| read <= FILE_BYTES_MAX) {
            Ok(text)
        } else {
            Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"))
        }
    };
    bounded().map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

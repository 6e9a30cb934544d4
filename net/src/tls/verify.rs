//! Is the server that answered the one we meant?

use super::x509::Parsed;
use super::{ServerTlsError, pem, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Whom to trust to have signed a server's certificate.
#[derive(Debug, Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    /// Certificates that are trusted as they are: a server that signed its own gives it as its authority.
    known: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Those that the system trusts.
    #[must_use]
    pub fn of_the_system(roots: &Arc<RootCertStore>) -> Self {
        Self { roots: Arc::clone(roots), known: Vec::new() }
    }

    /// A cluster's own.
    ///
    /// # Errors
    /// The text holds none, or what is none.
    pub fn from_pem(text: &str) -> Result<Self, ServerTlsError> {
        let known =
            pem::chain(text).map_err(|what| ServerTlsError::Authorities(format!("the text {what}")))?;
        let mut roots = RootCertStore::empty();
        for authority in &known {
            roots.add(authority.clone()).map_err(|error| ServerTlsError::Authorities(error.to_string()))?;
        }
        Ok(Self { roots: Arc::new(roots), known })
    }

    fn vouch_for(
        &self,
        certificate: &ParsedCertificate<'_>,
        der: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.known.iter().any(|known| known == der) {
            return check_dates(der, now);
        }
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(certificate, &self.roots, between, now, algorithms)
    }
}

fn check_dates(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    match Parsed::read(der) {
        Some(certificate) if certificate.is_valid_at(now) => Ok(()),
        Some(_) => Err(CertificateError::Expired.into()),
        None => Err(CertificateError::BadEncoding.into()),
    }
}

/// Checks servers' certificates as far as a cluster's settings say.
#[derive(Debug)]
pub struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: whoever answers is taken.
    authorities: Option<Authorities>,
    /// Is the name checked too?
    name: bool,
}

impl Verifier {
    /// Takes whoever answers. The handshake still proves that it has the key of the certificate it shows.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self { provider: provider(), authorities: None, name: false }
    }

    /// Takes servers that these authorities vouch for; if `name`, only under the name that was asked for.
    #[must_use]
    pub fn by(authorities: Authorities, name: bool) -> Self {
        Self { provider: provider(), authorities: Some(authorities), name }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        der: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            let certificate = ParsedCertificate::try_from(der)?;
            authorities.vouch_for(&certificate, der, between, now)?;
            if self.name {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

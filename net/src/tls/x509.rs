//! What we read in certificates ourselves. Whether one is to be trusted is rustls' to say.

use pgwire::scram::ChannelBinding;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::time::{Duration, SystemTime};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const SHA1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_WITH_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// A certificate, read.
pub struct Parsed(Certificate);

impl Parsed {
    /// Reads one. `None`: it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        Certificate::from_der(der).ok().map(Self)
    }

    /// The DNS names that it is for, in lower case.
    #[must_use]
    pub fn dns_names(&self) -> Vec<String> {
        let extension = self.0.tbs_certificate().get_extension::<SubjectAltName>();
        let Ok(Some((_critical, names))) = extension else { return Vec::new() };
        let dns = names.0.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        });
        dns.collect()
    }

    /// The common name of its subject; none if it has several, or one that is no text.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        let name = self.0.tbs_certificate().subject().common_name().ok()??;
        Some(name.value().into_owned())
    }

    /// Until when it is good, since the epoch.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.0.tbs_certificate().validity().not_after.to_unix_duration()
    }

    /// Is it good at this time?
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let validity = self.0.tbs_certificate().validity();
        validity.not_before.to_system_time() <= now && now <= validity.not_after.to_system_time()
    }
}

/// What a login can be bound to when this certificate is the server's: its hash, by the hash function of its own
/// signature, or SHA-256 where that is SHA-1 (RFC 5929 §4.1). A signature that has none of its own, as Ed25519, or
/// hides it, as RSA-PSS, gives nothing to bind to.
#[must_use]
pub fn server_end_point(der: &[u8]) -> ChannelBinding {
    let Some(Parsed(certificate)) = Parsed::read(der) else { return ChannelBinding::Unavailable };
    let hash = match certificate.signature_algorithm().oid {
        SHA1_WITH_RSA | ECDSA_WITH_SHA1 | SHA256_WITH_RSA | ECDSA_WITH_SHA256 => Sha256::digest(der).to_vec(),
        SHA384_WITH_RSA | ECDSA_WITH_SHA384 => Sha384::digest(der).to_vec(),
        SHA512_WITH_RSA | ECDSA_WITH_SHA512 => Sha512::digest(der).to_vec(),
        _ => return ChannelBinding::Unavailable,
    };
    ChannelBinding::TlsServerEndPoint(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SignatureAlgorithm};

    fn made(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let names = ["DB.example.com".to_owned(), "*.db.example.com".to_owned()];
        let mut params = CertificateParams::new(names).expect("good names");
        params.distinguished_name.push(DnType::CommonName, "app.acme");
        let key = KeyPair::generate_for(algorithm).expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn names_are_read() {
        let parsed = Parsed::read(&made(&rcgen::PKCS_ECDSA_P256_SHA256)).expect("a certificate");
        assert_eq!(parsed.dns_names(), ["db.example.com", "*.db.example.com"]);
        assert_eq!(parsed.common_name().as_deref(), Some("app.acme"));
        assert!(parsed.is_valid_at(SystemTime::now()));
        assert!(!parsed.is_valid_at(SystemTime::UNIX_EPOCH));
        assert!(Parsed::read(b"no certificate").is_none());
    }

    #[test]
    fn the_hash_of_the_signature_is_the_bindings() {
        let length = |algorithm| match server_end_point(&made(algorithm)) {
            ChannelBinding::TlsServerEndPoint(hash) => hash.len(),
            ChannelBinding::Unavailable => 0,
        };
        assert_eq!(length(&rcgen::PKCS_ECDSA_P256_SHA256), 32);
        assert_eq!(length(&rcgen::PKCS_ECDSA_P384_SHA384), 48);
        assert_eq!(length(&rcgen::PKCS_ED25519), 0);
        assert_eq!(server_end_point(b"no certificate"), ChannelBinding::Unavailable);
    }
}

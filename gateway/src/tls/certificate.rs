//! One certificate of ours, with what is derived from it.

use super::files::Pair;
use super::x509::{self, Parsed};
use super::{ALPN_POSTGRES, TlsError, provider};
use config::{TlsConfig, TlsVersion};
use pgwire::scram::ChannelBinding;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

/// HTTP's versions in ALPN, the better one first (RFC 9113 §3.2, RFC 7301 §6).
const ALPN_HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate that clients are shown.
pub struct Certificate {
    /// Where it stands: what people know it by.
    pub file: String,
    /// The DNS names that it is for, in lower case, some with a `*` as their first label.
    pub names: Vec<String>,
    /// Until when it is good, since the epoch.
    pub not_after: Duration,
    /// What a login through it can be bound to.
    pub binding: ChannelBinding,
    /// TLS for PostgreSQL clients.
    pub postgres: Arc<ServerConfig>,
    /// TLS for HTTP clients.
    pub http: Arc<ServerConfig>,
}

impl Certificate {
    /// Makes it ready for use.
    ///
    /// # Errors
    /// It cannot be read, or its key is another's.
    pub fn load(
        pair: &Pair,
        settings: &TlsConfig,
        clients: &Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let unusable = |what: String| TlsError::Unusable { path: pair.cert_file.clone(), what };
        let chain = pair.chain()?;
        let own = chain.first().ok_or_else(|| unusable("holds no certificate".to_owned()))?;
        let parsed = Parsed::read(own).ok_or_else(|| unusable("holds a broken certificate".to_owned()))?;
        let binding = x509::server_end_point(own);
        let key = CertifiedKey::from_der(chain.clone(), pair.key()?, &provider())
            .map_err(|error| unusable(format!("does not fit {}: {error}", pair.key_file.display())))?;
        let resolver = Arc::new(SingleCertAndKey::from(key));
        let config = || {
            let builder = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(versions(settings.min_version))?
                .with_client_cert_verifier(Arc::clone(clients));
            Ok::<_, rustls::Error>(builder.with_cert_resolver(Arc::clone(&resolver) as Arc<_>))
        };
        Ok(Self {
            file: pair.cert_file.display().to_string(),
            names: parsed.dns_names(),
            not_after: parsed.not_after(),
            binding,
            postgres: Arc::new(for_postgres(config()?)),
            http: Arc::new(for_http(config()?)),
        })
    }
}

static FROM_TLS12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::Tls12 => &FROM_TLS12,
        TlsVersion::Tls13 => &FROM_TLS13,
    }
}

/// PostgreSQL's clients resume no sessions, so none are remembered.
fn for_postgres(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![ALPN_POSTGRES.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// Sessions to resume are remembered by rustls, the last 256 of each certificate.
fn for_http(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = ALPN_HTTP.map(<[u8]>::to_vec).to_vec();
    config
}

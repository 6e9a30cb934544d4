//! All our certificates, and which one a client is shown.

use super::certificate::Certificate;
use super::files::{self, Contents};
use super::{TlsError, provider};
use config::{ClientAuth, TlsConfig};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The certificates of one state of the files.
pub struct Certificates {
    /// In the order of the settings; never empty.
    all: Vec<Arc<Certificate>>,
    /// By the names they are for. Of two for the same name the first counts.
    by_name: HashMap<String, Arc<Certificate>>,
}

impl Certificates {
    /// Makes what the files hold ready for use.
    ///
    /// # Errors
    /// Any of it is of no use: all together are taken, or none.
    pub fn load(contents: &Contents, settings: &TlsConfig) -> Result<Self, TlsError> {
        let clients = client_verifier(contents, settings)?;
        let load = |pair| Certificate::load(pair, settings, &clients).map(Arc::new);
        let all = contents.certificates.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let mut by_name = HashMap::new();
        for certificate in &all {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert_with(|| Arc::clone(certificate));
            }
        }
        Ok(Self { all, by_name })
    }

    /// The one to show a client that asks for this name: one for just this name, else one for all names beside it
    /// (`*.db.example.com`), else the first.
    #[must_use]
    pub fn choose(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        let named = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let beside = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
            self.by_name.get(&name).or_else(|| self.by_name.get(&beside?))
        });
        named.or_else(|| self.all.first())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.all.iter().map(Arc::as_ref)
    }
}

fn client_verifier(
    contents: &Contents,
    settings: &TlsConfig,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some((path, pem)) = contents.client_ca.as_ref().filter(|_| settings.client_auth != ClientAuth::None)
    else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = Arc::new(authorities(path, pem)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let verifier = match settings.client_auth {
        ClientAuth::Optional => verifier.allow_unauthenticated(),
        ClientAuth::None | ClientAuth::Required => verifier,
    };
    verifier.build().map_err(|error| TlsError::Unusable { path: path.clone(), what: error.to_string() })
}

fn authorities(path: &Path, pem: &str) -> Result<RootCertStore, TlsError> {
    let unusable = |what: String| TlsError::Unusable { path: path.to_owned(), what };
    let mut roots = RootCertStore::empty();
    for authority in files::chain(pem).map_err(unusable)? {
        roots.add(authority).map_err(|error| unusable(format!("holds what is no authority: {error}")))?;
    }
    Ok(roots)
}

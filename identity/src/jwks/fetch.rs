//! Asking an issuer for its keys: what may come, from where, and for how long.

use super::reach::{self, PublicOnly};
use crate::keys::{KeySet, KeySetError};
use config::IdentityConfig;
use net::tls::{pem, provider};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tenancy::Issuer;

/// What stands behind an issuer's name to find its settings (OpenID Connect Discovery 1.0 §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Why keys could not be fetched. Nothing of what was answered is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is of no use.
    #[error("the address is not https, nor http on this machine")]
    Address,
    /// The address leads into a network that its issuer has no business in.
    #[error("the address is not a public one")]
    NotPublic,
    /// The authorities that may have signed the server's certificate are of no use.
    #[error("the certificate authorities cannot be used")]
    Authorities,
    /// Nobody answers there, or not in a way that we trust.
    #[error("the server cannot be reached, or its certificate is not trusted")]
    Unreachable,
    /// It took too long.
    #[error("the server took too long to answer")]
    Timeout,
    /// It answered something else; redirects are not followed.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// More came than may.
    #[error("the server's answer is too long")]
    TooLarge,
    /// What came are no keys.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// The issuers of the same tenant were asked very often just before.
    #[error("the tenant's issuers are asked too often")]
    TooOften,
    /// The settings that an issuer publishes are none, or another's.
    #[error("the server does not describe this issuer")]
    Discovery,
}

pub(super) struct Fetcher {
    timeout: Duration,
    bytes_max: usize,
    keys_max: usize,
    private_issuers: bool,
    roots: RootCertStore,
}

#[derive(Deserialize)]
struct Settings {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(settings: &IdentityConfig, roots: RootCertStore) -> Self {
        Self {
            timeout: settings.jwks_timeout(),
            bytes_max: settings.jwks_bytes_max,
            keys_max: settings.jwks_keys_max,
            private_issuers: settings.private_issuers,
            roots,
        }
    }

    pub(super) async fn fetch(&self, issuer: &Issuer) -> Result<KeySet, FetchError> {
        let is_tenants = issuer.tenant.is_some();
        let body = self.get(&issuer.jwks_url, issuer.jwks_ca.as_deref(), is_tenants).await?;
        Ok(KeySet::parse(&body, self.keys_max)?)
    }

    /// Where an issuer says that its keys are.
    pub(super) async fn discover(
        &self,
        iss: &str,
        ca: Option<&str>,
        is_tenants: bool,
    ) -> Result<String, FetchError> {
        let address = format!("{}{DISCOVERY}", iss.trim_end_matches('/'));
        let body = self.get(&address, ca, is_tenants).await?;
        let settings: Settings = serde_json::from_slice(&body).map_err(|_| FetchError::Discovery)?;
        // OpenID Connect Discovery 1.0 §4.3: letter by letter, or one issuer could pass for another.
        if settings.issuer == iss { Ok(settings.jwks_uri) } else { Err(FetchError::Discovery) }
    }

    pub(super) fn check_address(&self, address: &str, is_tenants: bool) -> Result<(), FetchError> {
        reach::allowed(address, is_tenants && !self.private_issuers).map(|_url| ())
    }

    async fn get(&self, address: &str, ca: Option<&str>, is_tenants: bool) -> Result<Vec<u8>, FetchError> {
        let public_only = is_tenants && !self.private_issuers;
        let url = reach::allowed(address, public_only)?;
        let client = self.client(ca, public_only)?;
        let answered = tokio::time::timeout(self.timeout, self.read(&client, url)).await;
        answered.map_err(|_elapsed| FetchError::Timeout)?
    }

    /// One a fetch: they are minutes apart, and no connection is kept open that long.
    fn client(&self, ca: Option<&str>, public_only: bool) -> Result<Client, FetchError> {
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(self.timeout)
            .timeout(self.timeout)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(self.tls(ca)?);
        if public_only {
            builder = builder.dns_resolver(Arc::new(PublicOnly)).no_proxy();
        }
        builder.build().map_err(|_| FetchError::Unreachable)
    }

    fn tls(&self, ca: Option<&str>) -> Result<ClientConfig, FetchError> {
        let roots = match ca {
            None => self.roots.clone(),
            Some(text) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem::chain(text).map_err(|_| FetchError::Authorities)? {
                    roots.add(certificate).map_err(|_| FetchError::Authorities)?;
                }
                roots
            }
        };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|_| FetchError::Authorities)?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    async fn read(&self, client: &Client, url: Url) -> Result<Vec<u8>, FetchError> {
        let response = client.get(url).header("accept", "application/json").send().await;
        let mut response = response.map_err(|error| unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        self.body(&mut response).await
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + part.len() > self.bytes_max {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

fn unreachable(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Unreachable }
}

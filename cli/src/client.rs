//! The control plane's API, as the verbs and `dev` use it.
//!
//! Answers stay JSON: a command picks what it shows, and `-o json` passes everything on, also what a
//! newer control plane added. The client never retries what it cannot repeat safely: a change carries
//! an `Idempotency-Key`, so that a second attempt is the same request.

mod endpoint;
mod error;
mod operation;
mod path;

pub use endpoint::{
    DESCRIPTOR_NAME, Descriptor, DescriptorCluster, DescriptorGateway, Endpoint, EndpointOptions,
};
pub use error::ApiError;
pub use operation::{Operation, OperationStep};
pub(crate) use path::escape;
pub use path::path;

use net::tls::{pem, provider, roots};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Response};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::time::Duration;
use tenancy::Secret;
use uuid::Uuid;

/// Beyond the control plane's own limit of a request, which is 30 s, no answer will come.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A change whose answer was lost is sent again, under the same key.
const ATTEMPTS_MAX: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Pages that a listing follows at most; beyond 20,000 items people must filter.
const PAGES_MAX: u32 = 100;

/// A connection to one control plane, as whoever the token says.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// Prepares a client; connects with the first request.
    ///
    /// # Errors
    /// When the token cannot stand in a header, or the authority is of no use.
    pub fn new(endpoint: &Endpoint) -> Result<Self, ApiError> {
        let authorization = endpoint.token.as_ref().map(bearer).transpose()?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(endpoint)?)
            .build()
            .map_err(|error| ApiError::unreachable(&endpoint.url, &error))?;
        Ok(Self { http, base: endpoint.url.trim_end_matches('/').to_owned(), authorization })
    }

    /// Reads one thing.
    ///
    /// # Errors
    /// When the control plane cannot be reached or answers with a problem.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.request(Method::GET, path, None).await
    }

    /// Reads a listing to its end.
    ///
    /// # Errors
    /// When the control plane cannot be reached or answers with a problem.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page_path = match &cursor {
                None => path.to_owned(),
                Some(cursor) => format!("{path}{separator}cursor={cursor}"),
            };
            let mut page = self.get(&page_path).await?;
            if let Some(Value::Array(rows)) = page.get_mut("items").map(Value::take) {
                items.extend(rows);
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Changes something. Sent at most three times, and done at most once.
    ///
    /// # Errors
    /// When the control plane cannot be reached or answers with a problem.
    pub async fn change(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        self.request(method, path, body).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let key = Uuid::new_v4().to_string();
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if method != Method::GET {
                request = request.header("Idempotency-Key", &key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            match request.send().await {
                Ok(response) => return self.read(response).await,
                // Nobody listens there, or somebody who says nothing: to ask again would only take longer.
                Err(error) if error.is_connect() || error.is_timeout() || attempt == ATTEMPTS_MAX => {
                    return Err(ApiError::unreachable(&self.base, &error));
                }
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
            attempt += 1;
        }
    }

    async fn read(&self, response: Response) -> Result<Value, ApiError> {
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| ApiError::unreachable(&self.base, &error))?;
        if status.is_success() {
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&bytes)
                .map_err(|_| ApiError::strange(&self.base, status.as_u16()));
        }
        Err(ApiError::from_problem(&self.base, status.as_u16(), &bytes))
    }
}

/// What a request shows with a token.
fn bearer(token: &Secret) -> Result<HeaderValue, ApiError> {
    let text = format!("Bearer {}", token.expose());
    let mut value = HeaderValue::from_str(&text).map_err(|_| ApiError::TokenUnusable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Checks the control plane's certificate, and its name: the operator token goes to nobody else. The authorities of the
/// system are read only where they are needed.
fn tls(endpoint: &Endpoint) -> Result<ClientConfig, ApiError> {
    let unusable = |why: String| ApiError::AuthorityUnusable { why };
    let roots = match &endpoint.ca {
        Some(text) => {
            let mut roots = RootCertStore::empty();
            for authority in pem::chain(text).map_err(|what| unusable(format!("the file {what}")))? {
                roots.add(authority).map_err(|error| unusable(error.to_string()))?;
            }
            roots
        }
        None if endpoint.url.starts_with("https://") => roots::of_the_system(),
        None => RootCertStore::empty(),
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

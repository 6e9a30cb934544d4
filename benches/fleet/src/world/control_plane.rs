//! A Tenantry control plane as a process of its own, and its API as an operator's and people's scripts use it.

use super::catalog::CatalogServer;
use super::gateway::{Gateway, is_ready};
use super::process::Process;
use super::{WorldError, free_port};
use reqwest::Method;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tenancy::Secret;
use uuid::Uuid;

/// A running one.
pub(crate) struct ControlPlane {
    url: String,
    operator: Secret,
    http: reqwest::Client,
    /// Stops when it is dropped.
    _process: Process,
}

impl ControlPlane {
    /// Starts it before the catalog's tenants, which are reached through `gateway`.
    pub(crate) async fn start(
        program: &Path,
        home: &Path,
        catalog: &CatalogServer,
        gateway: &Gateway,
    ) -> Result<Self, WorldError> {
        let port = free_port()?;
        let (config, token) = (home.join("control-plane.toml"), home.join("operator-token"));
        let operator = Secret::new(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
        let text = format!(
            "listen = \"127.0.0.1:{port}\"\nmaster_key_file = {key:?}\noperator_token_file = {token:?}\n\n\
             [catalog]\ndsn_file = {dsn:?}\n\n\
             [gateway_endpoint]\npg_host = \"127.0.0.1\"\npg_port = {pg}\nhttp_url = \"{http}\"\n",
            key = catalog.key_file().display().to_string(),
            token = token.display().to_string(),
            dsn = catalog.dsn_file().display().to_string(),
            pg = gateway.port,
            http = gateway.http,
        );
        for (path, text) in [(&token, operator.expose()), (&config, text.as_str())] {
            fs::write(path, text).map_err(WorldError::file(path))?;
        }
        let arguments = ["control-plane".to_owned(), "--config".to_owned(), config.display().to_string()];
        let mut process = Process::start(program, &arguments, &home.join("control-plane.log"))?;
        process.ready(async || is_ready(port).await.unwrap_or(false)).await?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { url, operator, http: reqwest::Client::new(), _process: process })
    }

    /// What the operator does.
    pub(crate) async fn operate(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, WorldError> {
        self.ask(method, path, Some(&self.operator), body).await
    }

    /// What somebody does who shows this token, or none.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Value, WorldError> {
        let failed = |what: String| WorldError::Api { path: path.to_owned(), what };
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| failed(error.to_string()))?;
        if !status.is_success() {
            return Err(failed(format!("{status}: {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

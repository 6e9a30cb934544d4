//! A control plane with a fresh catalog, and a client to it.
//!
//! One pair of servers serves all tests: `catalog` holds everybody's catalog and is everybody's cluster `eu-1`, `other` is
//! there for those who need a second one. They die with the process.

use catalog_schema::{Catalog, MasterKey, migrate};
use config::{CatalogConfig, ControlPlaneConfig, MasterKeySource, WorkerConfig};
use control_plane::ControlPlane;
use control_plane::failpoint::{Failpoints, NoFailpoints};
use launcher::{Binaries, Scratch, Server, ServerOptions};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;
use tenancy::Secret;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "a token that nobody guesses";

/// Beyond this a condition that a test waits for will not come.
const DEADLINE: Duration = Duration::from_secs(60);

/// The servers that all tests share.
pub(crate) struct Servers {
    pub(crate) catalog: Server,
    pub(crate) other: Server,
    _scratch: Scratch,
}

static SERVERS: OnceCell<Servers> = OnceCell::const_new();

pub(crate) async fn servers() -> &'static Servers {
    SERVERS
        .get_or_init(|| async {
            let scratch = Scratch::create().unwrap();
            let (catalog, other) = tokio::join!(start(&scratch, "catalog"), start(&scratch, "other"));
            Servers { catalog, other, _scratch: scratch }
        })
        .await
}

/// A server that ends when it is dropped.
pub(crate) async fn start(scratch: &Scratch, name: &str) -> Server {
    let binaries = Binaries::find(None, None).await.expect("PostgreSQL is installed");
    let options = ServerOptions::throwaway(binaries, &scratch.path().join(name));
    Server::start(options.setting("max_connections", "300")).await.unwrap()
}

/// One running control plane.
pub(crate) struct Plane {
    pub(crate) catalog: Catalog,
    pub(crate) catalog_dsn: Secret,
    config: ControlPlaneConfig,
    base: String,
    http: reqwest::Client,
    shutdown: CancellationToken,
    running: Option<JoinHandle<()>>,
    _key: NamedTempFile,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The problem's name, at the end of its type.
    pub(crate) fn problem(&self) -> &str {
        let full = self.body["type"].as_str().unwrap_or_else(|| panic!("no problem: {self:?}"));
        full.strip_prefix("urn:tenantry:problem:").unwrap()
    }
}

impl Plane {
    /// With region `eu` and cluster `eu-1`.
    pub(crate) async fn start() -> Self {
        let plane = Self::start_empty(Arc::new(NoFailpoints)).await;
        plane.register_eu().await;
        plane
    }

    /// With region `eu` and cluster `eu-1`, and an engine that fails where it is told.
    pub(crate) async fn start_failing(failpoints: Arc<dyn Failpoints>) -> Self {
        let plane = Self::start_empty(failpoints).await;
        plane.register_eu().await;
        plane
    }

    pub(crate) async fn start_empty(failpoints: Arc<dyn Failpoints>) -> Self {
        Self::start_adapted(failpoints, reqwest::Client::new(), |_| {}).await
    }

    /// With other settings, and a client that fits them.
    pub(crate) async fn start_adapted(
        failpoints: Arc<dyn Failpoints>,
        http: reqwest::Client,
        adapt: impl FnOnce(&mut ControlPlaneConfig),
    ) -> Self {
        let key_text = MasterKey::generate().unwrap().to_base64();
        let key = NamedTempFile::new().unwrap();
        std::fs::write(key.path(), key_text.expose()).unwrap();
        let catalog_dsn = fresh_catalog(&servers().await.catalog).await;
        let mut config = ControlPlaneConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            catalog: CatalogConfig { dsn: catalog_dsn.clone(), pool_size: 8 },
            master_key: MasterKeySource::File(key.path().to_owned()),
            operator_token: Secret::new(TOKEN.to_owned()),
            worker: WorkerConfig { lease_ms: 1_000, poll_ms: 100, ..WorkerConfig::default() },
            ..ControlPlaneConfig::default()
        };
        adapt(&mut config);
        let catalog =
            Catalog::connect(&catalog_dsn, MasterKey::from_base64(&key_text).unwrap(), 2).await.unwrap();
        let mut plane = Self {
            catalog,
            catalog_dsn,
            config,
            base: String::new(),
            http,
            shutdown: CancellationToken::new(),
            running: None,
            _key: key,
        };
        plane.run(failpoints).await;
        plane
    }

    /// Starts it, on a port of its own.
    pub(crate) async fn run(&mut self, failpoints: Arc<dyn Failpoints>) {
        let built = ControlPlane::build_with_failpoints(self.config.clone(), failpoints).await.unwrap();
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        self.base = format!("{scheme}://{}", built.local_addr());
        self.shutdown = CancellationToken::new();
        let shutdown = self.shutdown.clone();
        self.running = Some(tokio::spawn(async move { built.run(shutdown).await.unwrap() }));
    }

    /// The catalog's database.
    pub(crate) fn catalog_name(&self) -> String {
        self.catalog_dsn.expose().rsplit('/').next().unwrap().to_owned()
    }

    /// Stops it in order.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        self.running.take().unwrap().await.unwrap();
    }

    pub(crate) async fn register_eu(&self) {
        self.expect(201, self.post("/v1/regions", json!({ "name": "eu", "jurisdiction": "EU" }))).await;
        let dsn = servers().await.catalog.dsn("postgres");
        let body =
            json!({ "name": "eu-1", "region": "eu", "tls_mode": "disable", "admin_dsn": dsn.expose() });
        self.expect(201, self.post("/v1/clusters", body)).await;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(TOKEN)
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write the body where they pass it")]
    pub(crate) fn post(&self, path: &str, body: Value) -> RequestBuilder {
        self.request(Method::POST, path).json(&body)
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write the body where they pass it")]
    pub(crate) fn patch(&self, path: &str, body: Value) -> RequestBuilder {
        self.request(Method::PATCH, path).json(&body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// With no header but those that the client itself sets.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Without the token.
    pub(crate) fn anonymous(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    pub(crate) async fn expect(&self, status: u16, request: RequestBuilder) -> Value {
        let answer = self.send(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        answer.body
    }

    /// The name of the problem that a request meets.
    pub(crate) async fn refused(&self, request: RequestBuilder) -> String {
        let answer = self.send(request).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
        assert_eq!(answer.body["status"], answer.status, "{answer:?}");
        answer.problem().to_owned()
    }

    /// Creates a tenant and waits until it is active. Returns what the creation answered.
    pub(crate) async fn tenant(&self, slug: &str) -> Value {
        let created =
            self.expect(202, self.post("/v1/tenants", json!({ "slug": slug, "region": "eu" }))).await;
        self.finished(&created["operation"]["id"], "succeeded").await;
        created
    }

    /// Makes an API key. Returns its id and the key.
    pub(crate) async fn key(&self, tenant: &str, role: &str, scope: &str) -> (String, String) {
        let body = json!({ "kind": "api-key", "role": role, "scope": scope });
        let made = self.expect(201, self.post(&format!("/v1/tenants/{tenant}/credentials"), body)).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["credential"]["id"]), text(&made["api_key"]))
    }

    /// Waits for an operation's end, which must be in `state`.
    pub(crate) async fn finished(&self, id: &Value, state: &str) -> Value {
        let path = format!("/v1/operations/{}", id.as_str().unwrap());
        let operation = eventually("the operation's end", async || {
            let operation = self.expect(200, self.get(&path)).await;
            operation["finished_at"].is_string().then_some(operation)
        })
        .await;
        assert_eq!(operation["state"], state, "{operation:#}");
        operation
    }

    /// Runs SQL against the catalog, behind everybody's back. Tells how many rows it is about.
    pub(crate) async fn sql(&self, sql: &str) -> u64 {
        let config: tokio_postgres::Config = self.catalog_dsn.expose().parse().unwrap();
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap();
        let rows = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        };
        messages.iter().map(rows).sum()
    }

    /// The tenant as it stands.
    pub(crate) async fn shown(&self, tenant: &str) -> Value {
        self.expect(200, self.get(&format!("/v1/tenants/{tenant}"))).await
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn fresh_catalog(server: &Server) -> Secret {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("catalog_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let admin = server.connect("postgres").await.unwrap();
    admin.batch_execute(&format!("create database {name} template template0")).await.unwrap();
    let dsn = server.dsn(&name);
    migrate(&dsn).await.unwrap();
    dsn
}

/// Polls until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

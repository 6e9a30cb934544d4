//! The whole stack, with what tests do to it.

use crate::process::ChildProcess;
use crate::tenant::Tenant;
use crate::wait::{DEADLINE, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Instant;
use tenantry::client::path;
use tenantry::dev::StackOptions;

/// A catalog, clusters in two regions, a control plane and a gateway, on real servers.
pub struct Stack {
    stack: tenantry::dev::Stack,
    http: reqwest::Client,
}

impl Deref for Stack {
    type Target = tenantry::dev::Stack;
    fn deref(&self) -> &Self::Target {
        &self.stack
    }
}

impl DerefMut for Stack {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.stack
    }
}

impl Stack {
    /// Starts one with clusters `eu-1` and `us-1`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        Self::start_with(StackOptions::ephemeral()).await
    }

    /// Starts one as the options say.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with(options: StackOptions) -> Self {
        let stack = match tenantry::dev::Stack::start(options).await {
            Ok(stack) => stack,
            Err(error) => panic!("the stack does not come up: {error}"),
        };
        Self { stack, http: unpooled() }
    }

    /// Stops everything in order. Dropping it stops everything too, but nobody would see an error.
    ///
    /// # Panics
    /// When a part does not stop as it should.
    pub async fn stop(self) {
        if let Err(error) = self.stack.stop().await {
            panic!("the stack does not stop in order: {error}");
        }
    }

    /// Makes a tenant and waits until the gateway serves it.
    ///
    /// # Panics
    /// When that fails.
    pub async fn create_tenant(&self, slug: &str, region: &str) -> Tenant {
        self.create_tenant_with(json!({ "slug": slug, "region": region })).await
    }

    /// Makes a tenant from a request's body and waits until the gateway serves it.
    ///
    /// # Panics
    /// When that fails.
    pub async fn create_tenant_with(&self, body: Value) -> Tenant {
        let created = self.must(Method::POST, &path(&["tenants"]), Some(&body)).await;
        let operation = self.finished(operation_id(&created)).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
        let tenant = Tenant::from_created(&created);
        eventually("the gateway knows the new tenant", async || tenant.try_connect().await.ok()).await;
        tenant
    }

    /// Deletes a tenant and waits until it is gone.
    ///
    /// # Panics
    /// When that fails.
    pub async fn delete_tenant(&self, slug: &str) {
        let started = self.must(Method::DELETE, &path(&["tenants", slug]), None).await;
        let operation = self.finished(operation_id(&started)).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
    }

    /// Suspends or resumes a tenant, and waits until that is done.
    ///
    /// # Panics
    /// When that fails.
    pub async fn change_state(&self, slug: &str, verb: &str) {
        let started = self.must(Method::POST, &path(&["tenants", slug, verb]), None).await;
        let operation = self.finished(operation_id(&started)).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
    }

    /// Waits until an operation has ended, however it ended. The control plane may be away meanwhile.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn finished(&self, operation_id: &str) -> Value {
        let path = path(&["operations", operation_id]);
        let started = Instant::now();
        eventually(&format!("operation {operation_id} has ended"), async || {
            let operation = self.client().get(&path).await.ok()?;
            let state = operation["state"].as_str()?;
            assert!(started.elapsed() < DEADLINE, "still {state}: {operation:#}");
            matches!(state, "succeeded" | "failed" | "cancelled" | "undo-failed").then(|| operation.clone())
        })
        .await
    }

    /// Sends a change to the control plane.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        match self.client().change(method, path, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// The gateway's metrics, as Prometheus would read them.
    ///
    /// # Panics
    /// When they cannot be read.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.descriptor().gateway.admin);
        let answer = self.http.get(url).send().await.expect("the admin listener answers");
        answer.text().await.expect("metrics are text")
    }

    /// The sum of a metric's series whose labels contain all of `labels`; 0 when there is none.
    ///
    /// # Panics
    /// When the metrics cannot be read.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics().await;
        let series = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            let is_whole_name = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
            is_whole_name && labels.iter().all(|label| line.contains(label))
        });
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Queries over HTTP as a tenant, and returns status and body.
    ///
    /// # Panics
    /// When the gateway does not answer with JSON.
    pub async fn http_query(&self, tenant: &Tenant, query: &str, params: &[&str]) -> (u16, Value) {
        let request = self
            .http
            .post(&tenant.http_endpoint)
            .bearer_auth(&tenant.api_key)
            .json(&json!({ "query": query, "params": params }));
        let answer = request.send().await.expect("the gateway answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("the gateway answers with JSON"))
    }

    /// Replaces the control plane by one in a process of its own, which can be killed.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn control_plane_as_process(&mut self) -> ChildProcess {
        self.stop_control_plane().await.expect("the control plane stops in order");
        self.start_control_plane_process().await
    }

    /// Replaces the gateway by one in a process of its own, at the same addresses, whose memory can be seen.
    /// `settings` are added to the end of its configuration file.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn gateway_as_process(&mut self, settings: &str) -> ChildProcess {
        self.stop_gateway().await.expect("the gateway stops in order");
        let path = self.gateway_config();
        let text = std::fs::read_to_string(&path).expect("the stack has written it");
        std::fs::write(&path, format!("{text}\n{settings}\n")).expect("the stack's directory is ours");
        self.ready_gateway(&path, &self.descriptor().gateway.admin).await
    }

    /// Starts a gateway as a process of its own that shares the stack's ports with others, but for its admin
    /// listener, which is at the address returned.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn sharing_gateway(&self, drain_timeout_ms: u64) -> (ChildProcess, String) {
        let text = std::fs::read_to_string(self.gateway_config()).expect("the stack has written it");
        let port = free_port();
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("drain_timeout_ms", _)) => format!("drain_timeout_ms = {drain_timeout_ms}\n"),
            Some(("admin", _)) => format!("admin = \"127.0.0.1:{port}\"\nreuse_port = true\n"),
            _ => format!("{line}\n"),
        });
        let path = self.gateway_config().with_file_name(format!("gateway-{port}.toml"));
        std::fs::write(&path, lines.collect::<String>()).expect("the stack's directory is ours");
        let admin = format!("http://127.0.0.1:{port}");
        (self.ready_gateway(&path, &admin).await, admin)
    }

    async fn ready_gateway(&self, config: &Path, admin: &str) -> ChildProcess {
        let mut child = ChildProcess::tenantry(["gateway", "--config", &config.display().to_string()]);
        let ready = format!("{admin}/readyz");
        eventually("the gateway is ready", async || {
            assert!(child.is_running(), "the gateway ended: {}", child.said());
            let answer = self.http.get(&ready).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        child
    }

    /// Starts a control plane as a process of its own, at the stack's address.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_control_plane_process(&self) -> ChildProcess {
        let config = self.control_plane_config();
        let mut child = ChildProcess::tenantry(["control-plane", "--config", &config.display().to_string()]);
        eventually("the control plane answers", async || {
            assert!(child.is_running(), "the control plane ended: {}", child.said());
            self.client().list(&path(&["regions"])).await.ok()
        })
        .await;
        child
    }
}

/// Each test has a runtime of its own, and a connection that one has left idle ends with it.
fn unpooled() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(DEADLINE).build();
    client.expect("a client without TLS can always be made")
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound").port()
}

fn operation_id(started: &Value) -> &str {
    match started.pointer("/operation/id").and_then(Value::as_str) {
        Some(id) => id,
        None => panic!("no operation was started: {started}"),
    }
}

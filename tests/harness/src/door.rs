//! Knocking at the gateway's door in every way in which a client can say who it is and which tenant it means.

use crate::stack::Stack;
use crate::wait::DEADLINE;
use serde_json::{Value, json};
use tokio_postgres::{Client, Config, NoTls};

/// A request to the HTTP listener, with whatever names a tenant and whatever proves something. Nothing of it is there
/// until it is said.
#[derive(Debug, Clone, Default)]
pub struct Knock {
    path: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Knock {
    /// From nobody, for nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host that it is for.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.header("Host", host)
    }

    /// The tenant in its path.
    #[must_use]
    pub fn path(mut self, tenant: &str) -> Self {
        self.path = Some(tenant.to_owned());
        self
    }

    /// The tenant in the header `X-Tenant-ID`.
    #[must_use]
    pub fn tenant_header(self, tenant: &str) -> Self {
        self.header("X-Tenant-ID", tenant)
    }

    /// An API key, a service credential's key, or a token.
    #[must_use]
    pub fn bearer(self, secret: &str) -> Self {
        self.header("Authorization", &format!("Bearer {secret}"))
    }

    /// A connection string, as drivers send it.
    #[must_use]
    pub fn connection_string(self, text: &str) -> Self {
        self.header("Neon-Connection-String", text)
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends a statement, and returns status and body.
    ///
    /// # Panics
    /// When the gateway does not answer with JSON.
    pub async fn ask(&self, stack: &Stack, query: &str) -> (u16, Value) {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(DEADLINE).build();
        let path = self.path.as_ref().map_or("/sql".to_owned(), |tenant| format!("/t/{tenant}/sql"));
        let url = format!("{}{path}", stack.descriptor().gateway.http);
        let body = json!({ "query": query, "arrayMode": true }).to_string();
        let mut request = client.expect("a client without TLS can always be made").post(url).body(body);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.expect("the gateway answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("the gateway answers with JSON"))
    }

    /// The status alone, of a statement that anybody may run.
    pub async fn status(&self, stack: &Stack) -> u16 {
        self.ask(stack, "select 1").await.0
    }
}

/// Logs in over the wire. The SQLSTATE if it is refused.
///
/// # Errors
/// The SQLSTATE that the gateway refuses with.
///
/// # Panics
/// When it is refused without one.
pub async fn log_in(config: &Config) -> Result<Client, String> {
    match config.connect(NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(client)
        }
        Err(error) => match error.code() {
            Some(code) => Err(code.code().to_owned()),
            None => panic!("{error:?}"),
        },
    }
}

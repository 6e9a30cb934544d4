//! SQL over HTTP, as its clients meet it.
//!
//! [`contract`] is the form of requests and answers, [`formats`] what else a client may ask for, [`callers`] who may send
//! them, [`limits`] what is too much, [`streaming`] how large results travel, [`sessions`] what happens to the server
//! connections beneath, [`connections`] how those to clients begin and end, [`hostile`] how they end for clients that mean no
//! good, [`cut_off`] how for those that may be served no more, [`memory`] what any of them can make the gateway keep, and
//! [`repeats`] what is done once for statements that come again.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

mod callers;
mod connections;
mod contract;
mod cut_off;
mod fidelity;
mod formats;
mod hostile;
mod http2;
mod limits;
mod memory;
mod repeats;
mod sessions;
mod streaming;
mod websocket;

use harness::{Stack, Tenant};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

/// An HTTP client of a stack's gateway.
struct Http {
    client: reqwest::Client,
    url: String,
}

impl Http {
    fn new(stack: &Stack) -> Self {
        Self { client: reqwest::Client::new(), url: stack.descriptor().gateway.http.clone() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request to `/sql` from nobody.
    fn sql(&self, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/sql").body(body.to_string())
    }

    /// A request to `/sql` with the tenant's key.
    fn with_key(&self, tenant: &Tenant, body: &Value) -> RequestBuilder {
        self.sql(body).bearer_auth(&tenant.api_key)
    }

    /// A request to `/sql` with a connection string, as the driver sends it.
    fn as_driver(&self, connection_string: &str, body: &Value) -> RequestBuilder {
        self.sql(body)
            .header("Neon-Connection-String", connection_string)
            .header("Neon-Raw-Text-Output", "true")
            .header("Neon-Array-Mode", "true")
    }
}

/// Status and JSON body.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response: Response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The JSON body of a request that succeeds.
async fn ok(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert_eq!(status, 200, "{body:#}");
    body
}

/// The first value of a statement's result.
async fn value(http: &Http, tenant: &Tenant, sql: &str) -> Value {
    let body = json!({"query": sql, "arrayMode": true});
    ok(http.with_key(tenant, &body)).await["rows"][0][0].clone()
}

/// How many other sessions run a statement with this mark in its text.
async fn running(administrator: &Client, mark: &str) -> i64 {
    let count = "select count(*) from pg_stat_activity \
                 where query like '%' || $1 || '%' and state = 'active' and pid <> pg_backend_pid()";
    administrator.query_one(count, &[&mark]).await.unwrap().get(0)
}

/// The administrator of the stack's first cluster.
async fn administrator(stack: &Stack) -> Client {
    let dsn = &stack.descriptor().clusters[0].admin_dsn;
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

//! What streams when its sender may be served no more: it ends, and its reader can tell it from a whole result, in each
//! format and by each version of HTTP.

use super::http2::{self, request};
use super::streaming::ENDLESS;
use super::{Http, administrator, running};
use bytes::Bytes;
use harness::wire::WireClient;
use harness::{Stack, Tenant, eventually, wait_until};
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;
use tenantry::dev::StackOptions;
use tokio_postgres::Config;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// Results that a tenant has begun to read: one of each format by each version.
const RESULTS: i64 = 4;

/// A result that has begun.
enum Reader {
    Http1(reqwest::Response),
    Http2(Response<Incoming>, SendRequest<Full<Bytes>>),
}

impl Reader {
    /// What is left of it, if it ends as HTTP ends a body.
    async fn rest(self) -> Option<Vec<u8>> {
        match self {
            Self::Http1(response) => response.bytes().await.ok().map(Vec::from),
            Self::Http2(response, _connection) => {
                response.into_body().collect().await.ok().map(|body| body.to_bytes().to_vec())
            }
        }
    }
}

/// Has results of the tenant begin; its name is in their statements.
async fn begun(stack: &Stack, http: &Http, tenant: &Tenant) -> Vec<(&'static str, Reader)> {
    let sql = format!("select 'stream-{}', {ENDLESS}", tenant.slug);
    let mut readers = Vec::new();
    for format in [JSON, NDJSON] {
        let asked = http.with_key(tenant, &json!({ "query": sql })).header("Accept", format);
        readers.push((format, Reader::Http1(asked.send().await.unwrap())));
        let mut connection = http2::connect(stack).await;
        let mut asked = request(tenant, &sql);
        asked.headers_mut().insert("accept", format.parse().unwrap());
        let response = connection.send_request(asked).await.unwrap();
        readers.push((format, Reader::Http2(response, connection)));
    }
    readers
}

/// A key of its own, which the gateway knows.
async fn with_own_key(stack: &Stack, http: &Http, tenant: &Tenant) -> (Tenant, Value) {
    let credentials = path(&["tenants", &tenant.slug, "credentials"]);
    let made = stack.must(Method::POST, &credentials, Some(&json!({ "kind": "api-key" }))).await;
    let holder = Tenant { api_key: made["api_key"].as_str().unwrap().to_owned(), ..tenant.clone() };
    eventually("the key is known", async || {
        let asked = http.with_key(&holder, &json!({"query": "select 1"})).send().await.ok()?;
        asked.status().is_success().then_some(())
    })
    .await;
    (holder, made["credential"]["id"].clone())
}

async fn kill(stack: &Stack, tenant: &Tenant) {
    let console: Config = stack.descriptor().gateway.console.parse().unwrap();
    let mut operator = WireClient::login(&console).await.unwrap();
    operator.query(&format!("KILL \"{}\"", tenant.slug)).await.unwrap();
}

#[tokio::test]
async fn what_streams_ends_when_its_sender_may_be_served_no_more() {
    // Nobody is given up for not reading.
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.http.stall_timeout_ms = 3_600_000);
    let stack = Stack::start_with(options).await;
    let (http, administrator) = (Http::new(&stack), administrator(&stack).await);
    let at_work = async |tenant: &Tenant| running(&administrator, &format!("stream-{}", tenant.slug)).await;
    let neighbour = stack.create_tenant("neighbour", "eu").await;
    let spared = begun(&stack, &http, &neighbour).await;

    for (slug, code) in [("withdrawn", "28P01"), ("killed", "57P01"), ("suspended", "57P03")] {
        let tenant = stack.create_tenant(slug, "eu").await;
        let (holder, key) = with_own_key(&stack, &http, &tenant).await;
        let results = begun(&stack, &http, &holder).await;
        wait_until("all stream", async || at_work(&tenant).await == RESULTS).await;
        match slug {
            "withdrawn" => {
                let key = path(&["tenants", slug, "credentials", key.as_str().unwrap()]);
                stack.must(Method::DELETE, &key, None).await;
            }
            "killed" => kill(&stack, &tenant).await,
            _ => stack.change_state(slug, "suspend").await,
        }
        wait_until("the statements are cancelled", async || at_work(&tenant).await == 0).await;
        for (format, result) in results {
            let rest = result.rest().await;
            assert_eq!(
                rest.is_some(),
                format == NDJSON,
                "{slug} {format}: it looks whole, or has no last line"
            );
            if let Some(rest) = rest {
                let last = rest.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
                let last: Value = serde_json::from_slice(last).unwrap();
                assert_eq!(last["error"]["code"], code, "{slug}: {last}");
            }
        }
        assert_eq!(at_work(&neighbour).await, RESULTS, "{slug}: others go on");
    }
    drop(spared);
    wait_until("who leaves is noticed", async || at_work(&neighbour).await == 0).await;
}

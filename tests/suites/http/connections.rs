//! Connections from clients: both versions of HTTP, clients that leave or stall, and the end of a gateway.

use super::http2::{self, request};
use super::{Http, administrator, answer, running, value};
use harness::{Stack, wait_until};
use http_body_util::BodyExt;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[tokio::test]
async fn http2_answers_many_requests_on_one_connection() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let sender = http2::connect(&stack).await;
    let mut requests = JoinSet::new();
    for nonce in 0..50 {
        let (mut sender, request) = (sender.clone(), request(&tenant, &format!("select {nonce} as nonce")));
        requests.spawn(async move {
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["rows"], json!([{"nonce": nonce}]));
        });
    }
    requests.join_all().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_statement() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let administrator = administrator(&stack).await;
    let mut sender = http2::connect(&stack).await;
    for mark in ["left-http1", "left-http2"] {
        let slow = format!("select '{mark}', pg_sleep(600)");
        let asked = if mark == "left-http1" {
            tokio::spawn(drop_result(http.with_key(&tenant, &json!({ "query": slow })).send()))
        } else {
            tokio::spawn(drop_result(sender.send_request(request(&tenant, &slow))))
        };
        wait_until("the statement runs", async || running(&administrator, mark).await == 1).await;
        asked.abort();
        wait_until("the statement is cancelled", async || running(&administrator, mark).await == 0).await;
    }
    let response = sender.send_request(request(&tenant, "select 1")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "the connection's other streams go on");
    assert_eq!(value(&http, &tenant, "select 1").await, 1);
}

async fn drop_result<T>(work: impl Future<Output = T>) {
    let _ = work.await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.limits.startup_timeout_ms = 300);
    let stack = Stack::start_with(options).await;
    for beginning in ["", "PRI * HT", "POST /sql HTTP/1.1\r\nx-endless: "] {
        let mut silent = TcpStream::connect(stack.addresses().http).await.unwrap();
        silent.write_all(beginning.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), silent.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "still open after {beginning:?}");
    }
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.limits.client_limit = 2);
    let stack = Stack::start_with(options).await;
    let probe = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
        stream.write_all(probe).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        places.push(stream);
    }
    let mut last = TcpStream::connect(stack.addresses().http).await.unwrap();
    let mut said = String::new();
    last.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 1"), "{said}");
    let body: Value = serde_json::from_str(said.split("\r\n\r\n").last().unwrap()).unwrap();
    assert_eq!(body["code"], "53300");
}

#[tokio::test]
async fn a_gateway_that_stops_lets_requests_end() {
    let mut stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let administrator = administrator(&stack).await;
    let slow = http.with_key(&tenant, &json!({"query": "select 'last' as said, pg_sleep(1)"}));
    let asked = tokio::spawn(answer(slow));
    wait_until("the statement runs", async || running(&administrator, "'last'").await == 1).await;
    stack.stop_gateway().await.unwrap();
    let (status, body) = asked.await.unwrap();
    assert_eq!((status, &body["rows"][0]["said"]), (200, &json!("last")));
    assert!(http.request(reqwest::Method::GET, "/healthz").send().await.is_err());
}

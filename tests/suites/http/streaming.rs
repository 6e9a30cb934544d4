//! Results that are larger than what is held: in constant memory, and unmistakably broken off when they fail.

use super::http2::{self, request};
use super::{Http, administrator, answer, ok, running, value};
use harness::{Stack, Tenant, wait_until};
use http_body_util::BodyExt;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Rows of a hundred bytes: some megabytes.
const ROWS: u64 = 30_000;

const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// More than anybody reads, made as it is sent: a series behind FROM would be made first.
pub(super) const ENDLESS: &str = "repeat('x', 1000), generate_series(1, 100000000)";

const FORMATS: [&str; 3] = ["application/json", "application/x-ndjson", "text/csv"];

#[tokio::test]
async fn large_results_stream_and_none_that_failed_looks_whole() {
    let options = StackOptions::ephemeral()
        .gateway(|gateway| gateway.limits.http_response_bytes_max = RESPONSE_BYTES_MAX);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);

    large_results_are_whole(&http, &tenant).await;
    what_fails_late_breaks_off(&http, &tenant).await;
    what_fails_early_says_so(&http, &tenant).await;
    a_batch_that_cannot_commit_is_not_whole(&http, &tenant).await;
    what_is_larger_than_a_response_may_be_breaks_off(&stack, &http, &tenant).await;
    over_http2_a_stream_is_reset(&stack, &tenant).await;
    by_http_1_0_nothing_streams(&stack, &http, &tenant).await;
    assert_eq!(value(&http, &tenant, "select 1").await, 1);
}

fn asked(http: &Http, tenant: &Tenant, format: &str, sql: &str) -> RequestBuilder {
    http.with_key(tenant, &json!({"query": sql, "arrayMode": true})).header("Accept", format)
}

async fn large_results_are_whole(http: &Http, tenant: &Tenant) {
    let sql = format!("select i::int, repeat('x', 100) as x from generate_series(1, {ROWS}) i");
    let pid = value(http, tenant, "select pg_backend_pid()").await;
    for format in FORMATS {
        let response = asked(http, tenant, format, &sql).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.content_length().is_none(), "it streams");
        let text = response.text().await.expect("all of it");
        match format {
            "application/json" => {
                let body: Value = serde_json::from_str(&text).expect("one JSON text");
                let rows = body["rows"].as_array().unwrap();
                assert_eq!((rows.len(), &body["rowCount"]), (30_000, &json!(ROWS)));
                assert_eq!(rows[29_999][0], ROWS);
            }
            "application/x-ndjson" => {
                let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
                assert_eq!(lines.next().unwrap()["fields"][0]["name"], "i");
                let lines: Vec<Value> = lines.collect();
                assert_eq!(lines.len(), 30_000 + 2);
                assert_eq!(lines[29_999]["row"][0], ROWS);
                assert_eq!(lines[30_000]["complete"]["rowCount"], ROWS);
                assert_eq!(lines[30_001], json!({"end": {"results": 1}}));
            }
            _ => {
                assert_eq!(text.lines().count(), 30_001);
                assert!(text.starts_with("i,x\r\n1,xxx"));
            }
        }
    }
    assert_eq!(value(http, tenant, "select pg_backend_pid()").await, pid, "the connection is kept");
}

async fn what_fails_late_breaks_off(http: &Http, tenant: &Tenant) {
    let sql = format!("select 1 / ({ROWS} - i), repeat('x', 100) from generate_series(1, {ROWS}) i");
    for format in FORMATS {
        let response = asked(http, tenant, format, &sql).send().await.unwrap();
        assert_eq!(response.status(), 200, "it had begun");
        let text = response.text().await;
        if format == "application/x-ndjson" {
            let text = text.expect("it has a line for that");
            let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!(last["error"]["code"], "22012");
            assert!(!text.contains("\"end\""));
        } else {
            assert!(text.is_err(), "{format} looks whole");
        }
    }
}

async fn what_fails_early_says_so(http: &Http, tenant: &Tenant) {
    for format in FORMATS {
        let (status, error) =
            answer(asked(http, tenant, format, "select 1 / (3 - i) from generate_series(1, 9) i")).await;
        assert_eq!((status, &error["code"]), (400, &json!("22012")), "{format}");
    }
}

async fn a_batch_that_cannot_commit_is_not_whole(http: &Http, tenant: &Tenant) {
    for sql in [
        "create table parents (id int primary key)",
        "create table children (parent int references parents deferrable initially deferred)",
    ] {
        ok(http.with_key(tenant, &json!({"query": sql}))).await;
    }
    let large = format!("select repeat('x', 100) from generate_series(1, {ROWS})");
    let batch = json!({"queries": [{"query": "insert into children values (1)"}, {"query": large}]});
    let response = http.with_key(tenant, &batch).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err(), "all or nothing: it was nothing");
    assert_eq!(value(http, tenant, "select count(*)::int from children").await, 0);
}

async fn what_is_larger_than_a_response_may_be_breaks_off(stack: &Stack, http: &Http, tenant: &Tenant) {
    let response = asked(http, tenant, FORMATS[0], &format!("select {ENDLESS}")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    assert!(stack.metric("tenantry_errors_total", &["kind=\"too_large\"", "acme"]).await >= 1.0);
    let (status, error) = answer(asked(http, tenant, FORMATS[0], "select repeat('x', 12000000)")).await;
    assert_eq!((status, &error["code"]), (507, &json!("54000")), "one row is not streamed");
    // Six times as large in JSON as the server sends it, and less than a response may be.
    let (status, error) = answer(asked(http, tenant, FORMATS[0], "select repeat(chr(1), 2000000)")).await;
    assert_eq!((status, &error["code"]), (507, &json!("54000")), "nor one that grows as it is written");
    assert!(error["message"].as_str().unwrap().contains("a row"), "{error}");
}

async fn over_http2_a_stream_is_reset(stack: &Stack, tenant: &Tenant) {
    let mut sender = http2::connect(stack).await;
    let mut ask = async |sql: &str| {
        sender.send_request(request(tenant, sql)).await.expect("an answer").into_body().collect().await
    };
    let late = format!("select 1 / ({ROWS} - i), repeat('x', 100) from generate_series(1, {ROWS}) i");
    assert!(ask(&late).await.is_err(), "it looks whole");
    let whole = ask("select 1 as one").await.expect("the connection's other streams go on").to_bytes();
    assert!(String::from_utf8_lossy(&whole).contains("\"rowCount\":1"));
}

async fn by_http_1_0_nothing_streams(stack: &Stack, http: &Http, tenant: &Tenant) {
    let answered = async |sql: &str| {
        let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
        stream.write_all(raw_request("1.0", tenant, sql).as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    };
    assert!(answered("select 1").await.starts_with("HTTP/1.0 200"));
    let large = answered(&format!("select repeat('x', 100) from generate_series(1, {ROWS})")).await;
    assert!(large.starts_with("HTTP/1.0 507"), "the end of a connection proves nothing");
    assert_eq!(value(http, tenant, "select 1").await, 1);
}

/// A request as it is written, for clients that do with the answer what no library does.
pub(super) fn raw_request(version: &str, tenant: &Tenant, sql: &str) -> String {
    let body = json!({"query": sql}).to_string();
    format!(
        "POST /sql HTTP/{version}\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        tenant.api_key,
        body.len()
    )
}

#[tokio::test]
async fn a_server_is_read_no_faster_than_the_client_reads() {
    // Nobody is given up meanwhile.
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.http.stall_timeout_ms = 3_600_000);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let administrator = administrator(&stack).await;
    let blocked = async |mark: &str| -> bool {
        let sql = "select count(*) from pg_stat_activity \
                   where query like '%' || $1 || '%' and wait_event = 'ClientWrite'";
        administrator.query_one(sql, &[&mark]).await.unwrap().get::<_, i64>(0) == 1
    };

    let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    let raw = raw_request("1.1", &tenant, &format!("select 'over-http1', {ENDLESS}"));
    stream.write_all(raw.as_bytes()).await.unwrap();
    let streams = async || stack.metric("tenantry_gateway_http_streams", &[]).await;
    wait_until("the result streams", async || streams().await == 1.0).await;
    wait_until("the server waits for its client", async || blocked("over-http1").await).await;
    drop(stream);
    wait_until("the statement is cancelled", async || running(&administrator, "over-http1").await == 0).await;

    let mut sender = http2::connect(&stack).await;
    let response =
        sender.send_request(request(&tenant, &format!("select 'over-http2', {ENDLESS}"))).await.unwrap();
    wait_until("the server waits for its client", async || blocked("over-http2").await).await;
    drop(response);
    wait_until("the statement is cancelled", async || running(&administrator, "over-http2").await == 0).await;

    wait_until("no stream is left", async || stack.metric("tenantry_gateway_http_streams", &[]).await == 0.0)
        .await;
    assert_eq!(stack.metric("tenantry_gateway_http_stream_ends_total", &["end=\"left\""]).await, 2.0);
    assert_eq!(value(&http, &tenant, "select 1").await, 1);
}

//! What is too much, and what is said about it.

use super::{Http, administrator, answer, ok, running};
use harness::{Stack, wait_until};
use serde_json::json;
use tenantry::dev::StackOptions;

const BODY_BYTES_MAX: usize = 64 * 1024;
const RESPONSE_BYTES_MAX: usize = 128 * 1024;
const TIMEOUT_MS: u64 = 5_000;

#[tokio::test]
async fn a_request_is_bounded_in_size_and_time() {
    let options = StackOptions::ephemeral().gateway(|gateway| {
        gateway.limits.http_body_bytes_max = BODY_BYTES_MAX;
        gateway.limits.http_response_bytes_max = RESPONSE_BYTES_MAX;
        gateway.limits.http_request_timeout_ms = TIMEOUT_MS;
    });
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let query = |sql: &str| http.with_key(&tenant, &json!({ "query": sql }));

    let large = format!("select '{}'", "x".repeat(BODY_BYTES_MAX));
    let (status, error) = answer(query(&large)).await;
    assert_eq!((status, &error["code"]), (413, &json!("54000")));
    let body = json!({ "query": large }).to_string().into_bytes();
    let pieces: Vec<_> = body.chunks(1_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    let chunked = query("").body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)));
    assert_eq!(answer(chunked).await.0, 413, "also when it does not announce its size");
    let fits = format!("select length('{}')", "x".repeat(BODY_BYTES_MAX - 1_000));
    ok(query(&fits)).await;

    for sql in [
        "select repeat('x', 200000)",
        "select repeat('x', 1000) from generate_series(1, 200)",
        "select repeat('x', 20000000)",
        "select repeat(chr(1), 30000)",
    ] {
        let (status, error) = answer(query(sql)).await;
        assert_eq!(status, 507, "{sql}");
        let message = error["message"].as_str().unwrap();
        assert_eq!(message, format!("response is too large (max is {RESPONSE_BYTES_MAX} bytes)"));
    }
    ok(query("select repeat('x', 100000)")).await;

    let (status, error) = answer(query("select 'slow', pg_sleep(600)")).await;
    assert_eq!((status, &error["code"]), (400, &json!("57014")));
    let administrator = administrator(&stack).await;
    wait_until("the statement is cancelled", async || running(&administrator, "'slow'").await == 0).await;
    ok(query("select 1")).await;
    assert!(stack.metric("tenantry_errors_total", &["kind=\"too_large\"", "acme"]).await >= 6.0);
}

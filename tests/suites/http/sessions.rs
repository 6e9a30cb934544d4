//! What happens to the server connections beneath: nothing of one request is seen by the next.

use super::{Http, answer, ok, value};
use harness::{Stack, Tenant};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Requests at once, each with a nonce of its own.
const REQUESTS: usize = 200;

#[tokio::test]
async fn no_request_leaves_a_trace_for_the_next() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);

    settings_do_not_travel(&http, &tenant).await;
    whatever_stays_behind_closes_the_connection(&http, &tenant).await;
    connections_are_used_again(&http, &tenant).await;
    results_are_utf8_whatever_the_wire_client_asked_for(&http, &tenant).await;
}

async fn settings_do_not_travel(http: &Http, tenant: &Tenant) {
    let zone = value(http, tenant, "show timezone").await;
    for change in
        ["set timezone to 'Asia/Tokyo'", "set search_path to nowhere", "set statement_timeout to '7min'"]
    {
        ok(http.with_key(tenant, &json!({ "query": change }))).await;
    }
    assert_eq!(value(http, tenant, "show timezone").await, zone);
    assert_eq!(value(http, tenant, "show statement_timeout").await, "0");
    let wire = tenant.connect().await;
    let shown: String = wire.query_one("show timezone", &[]).await.unwrap().get(0);
    assert_eq!(json!(shown), zone);
    wire.batch_execute("set timezone to 'Asia/Tokyo'").await.unwrap();
    assert_eq!(value(http, tenant, "show timezone").await, zone);
}

async fn whatever_stays_behind_closes_the_connection(http: &Http, tenant: &Tenant) {
    for sql in [
        "create temp table t (a int)",
        "select pg_advisory_lock(7)",
        "prepare p as select 1",
        "listen c",
        "begin",
        "do $$ begin perform set_config('a.b', 'c', false); end $$",
        "discard all",
    ] {
        let pid = value(http, tenant, "select pg_backend_pid()").await;
        assert_eq!(
            value(http, tenant, "select pg_backend_pid()").await,
            pid,
            "an idle connection is used again"
        );
        ok(http.with_key(tenant, &json!({ "query": sql }))).await;
        assert_ne!(value(http, tenant, "select pg_backend_pid()").await, pid, "{sql}");
    }
}

async fn connections_are_used_again(http: &Http, tenant: &Tenant) {
    let pid = value(http, tenant, "select pg_backend_pid()").await;
    for body in [
        json!({"query": "select 1/0"}),
        json!({"query": "syntax error"}),
        json!({"queries": [{"query": "select 1"}, {"query": "select 1/0"}, {"query": "select 2"}]}),
    ] {
        assert_eq!(answer(http.with_key(tenant, &body)).await.0, 400, "{body}");
        assert_eq!(value(http, tenant, "select pg_backend_pid()").await, pid, "{body}");
    }
    ok(http.with_key(tenant, &json!({"queries": [{"query": "set local timezone to 'Asia/Tokyo'"}]}))).await;
    assert_eq!(value(http, tenant, "select pg_backend_pid()").await, pid);
}

async fn results_are_utf8_whatever_the_wire_client_asked_for(http: &Http, tenant: &Tenant) {
    let wire = tenant.connect().await;
    wire.batch_execute("set client_encoding to 'LATIN1'").await.unwrap();
    assert_eq!(value(http, tenant, "select chr(233)").await, "é");
}

#[tokio::test]
async fn every_answer_is_its_own_requests() {
    let stack = Stack::start().await;
    let tenant =
        Arc::new(stack.create_tenant_with(json!({"slug": "acme", "region": "eu", "plan": "free"})).await);
    let http = Arc::new(Http::new(&stack));
    let mut requests = JoinSet::new();
    for nonce in 0..REQUESTS {
        let (http, tenant) = (Arc::clone(&http), Arc::clone(&tenant));
        requests.spawn(async move {
            let text = format!("nonce {nonce}");
            let single = json!({"query": "select $1::text, pg_backend_pid()", "params": [text], "arrayMode": true});
            let batch = json!({"queries": [single, {"query": "select $1::int + 1", "params": [nonce], "arrayMode": true}]});
            loop {
                let (status, body) = answer(http.with_key(&tenant, &batch)).await;
                if status == 429 {
                    // More at once than the plan lets in.
                    continue;
                }
                assert_eq!(status, 200, "{body}");
                assert_eq!(body["results"][0]["rows"][0][0], json!(text));
                assert_eq!(body["results"][1]["rows"], json!([[nonce + 1]]));
                return body["results"][0]["rows"][0][1].as_i64().unwrap();
            }
        });
    }
    let pids: HashSet<i64> = requests.join_all().await.into_iter().collect();
    assert!(pids.len() <= 5, "the plan's pool has 5 connections, {} were used", pids.len());
}

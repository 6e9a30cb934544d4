//! A gateway stops: nobody's transaction is cut short while there is time, and nobody is kept waiting.

use super::{farewell, login, run};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use pgwire::backend::TransactionStatus;
use tenantry::dev::StackOptions;

async fn stack(drain_timeout_ms: u64) -> (Stack, Tenant) {
    let options =
        StackOptions::ephemeral().gateway(move |gateway| gateway.drain_timeout_ms = drain_timeout_ms);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("draining", "eu").await;
    (stack, tenant)
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_leave_and_a_transaction_finishes() {
    let (mut stack, tenant) = stack(60_000).await;
    let (mut idle, mut working) = (login(&tenant).await, login(&tenant).await);
    run(&mut working, "create table t (n int)").await;
    assert_eq!(run(&mut working, "begin; insert into t values (1)").await, TransactionStatus::InTransaction);
    let admin = stack.descriptor().gateway.admin.clone();
    let config = tenant.config();
    let clients = async {
        assert_eq!(farewell(&mut idle).await, "57P01");
        wait_until("nobody new is let in", async || WireClient::dial(&config).await.is_err()).await;
        // Load balancers look here.
        let ready = reqwest::get(format!("{admin}/readyz")).await.expect("the admin listener answers");
        assert_eq!(ready.status().as_u16(), 503);
        assert_eq!(run(&mut working, "insert into t values (2)").await, TransactionStatus::InTransaction);
        assert_eq!(run(&mut working, "commit").await, TransactionStatus::Idle);
        assert_eq!(farewell(&mut working).await, "57P01");
    };
    let (stopped, ()) = tokio::join!(stack.stop_gateway(), clients);
    stopped.expect("the gateway stops in order");
    wait_until("its server connections are closed", async || stack.sessions(&tenant).await == 0).await;
    let known = stack.catalog_admin().await.query("select from catalog.gateways", &[]).await;
    assert!(known.expect("an answer").is_empty(), "it has signed off");

    stack.start_gateway().await.expect("another one starts");
    assert_eq!(login(&tenant).await.value("select sum(n) from t").await, "3");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_in_time_is_cut_off() {
    let (mut stack, tenant) = stack(200).await;
    let mut stubborn = login(&tenant).await;
    run(&mut stubborn, "begin; create table t (n int)").await;
    stack.stop_gateway().await.expect("the gateway stops in order");
    wait_until("its server connections are closed", async || stack.sessions(&tenant).await == 0).await;
    stack.start_gateway().await.expect("another one starts");
    let mut client = login(&tenant).await;
    assert_eq!(client.value("select count(*) from pg_tables where tablename = 't'").await, "0");
    drop(stubborn);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http_is_answered_before_the_end() {
    let (mut stack, tenant) = stack(60_000).await;
    let blocker = stack.inside(&tenant).await;
    blocker.batch_execute("select pg_advisory_lock(1)").await.expect("an administrator may");
    let http = reqwest::Client::new();
    let request = http
        .post(&tenant.http_endpoint)
        .bearer_auth(&tenant.api_key)
        .json(&serde_json::json!({ "query": "select pg_advisory_xact_lock(1)" }));
    let request = tokio::spawn(request.send());
    wait_until("the request waits", async || {
        let query = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
        blocker.query_one(query, &[]).await.expect("an answer").get::<_, i64>(0) > 0
    })
    .await;
    let config = tenant.config();
    let release = async {
        wait_until("the gateway drains", async || WireClient::dial(&config).await.is_err()).await;
        blocker.batch_execute("select pg_advisory_unlock(1)").await.expect("an administrator may");
    };
    let (stopped, ()) = tokio::join!(stack.stop_gateway(), release);
    stopped.expect("the gateway stops in order");
    let answer = request.await.expect("it was sent").expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    stack.stop().await;
}

//! A gateway stops: nobody's transaction is cut short while there is time, and nobody is kept waiting.

use super::{farewell, login, run};
use harness::wire::WireClient;
use harness::{Stack, Tenant, eventually, wait_until};
use pgwire::backend::TransactionStatus;
use pgwire::frontend::write;
use tenantry::dev::StackOptions;
use tokio_postgres::Config;

async fn stack(drain_timeout_ms: u64) -> (Stack, Tenant) {
    let options =
        StackOptions::ephemeral().gateway(move |gateway| gateway.drain_timeout_ms = drain_timeout_ms);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("draining", "eu").await;
    (stack, tenant)
}

/// What a new client hears, once there is something to hear.
async fn refused(config: &Config) -> String {
    eventually("nobody new is let in", async || WireClient::login(config).await.err()).await.sqlstate()
}

/// A request on a connection of its own.
async fn sql(tenant: &Tenant) -> reqwest::Result<reqwest::Response> {
    let query = serde_json::json!({ "query": "select 1" });
    reqwest::Client::new().post(&tenant.http_endpoint).bearer_auth(&tenant.api_key).json(&query).send().await
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
        assert_eq!(refused(&config).await, "57P01");
        let answer = sql(&tenant).await.expect("the listener is open");
        assert_eq!(answer.status().as_u16(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
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
async fn who_keeps_a_connection_may_stay_until_the_time_is_up_and_is_told() {
    let (mut stack, tenant) = stack(1_500).await;
    let as_session = [("user", "app"), ("database", tenant.slug.as_str()), ("pool_mode", "session")];
    let mut session = WireClient::login_as(&tenant.config(), &as_session).await.expect("let in");
    let mut pinned = login(&tenant).await;
    let (mut idle, mut stubborn) = (login(&tenant).await, login(&tenant).await);
    run(&mut session, "set statement_timeout = '7s'").await;
    run(&mut pinned, "create temp table kept as select 42 as n").await;
    run(&mut stubborn, "begin").await;
    let clients = async {
        assert_eq!(farewell(&mut idle).await, "57P01");
        assert_eq!(session.value("show statement_timeout").await, "7s");
        assert_eq!(pinned.value("select n from kept").await, "42");
        for kept in [&mut session, &mut pinned, &mut stubborn] {
            assert_eq!(farewell(kept).await, "57P01");
        }
    };
    let (stopped, ()) = tokio::join!(stack.stop_gateway(), clients);
    stopped.expect("the gateway stops in order");
    stack.stop().await;
}

/// A client that asks all the time: its question and our farewell cross all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_or_refused_as_a_whole() {
    let (mut stack, tenant) = stack(60_000).await;
    run(&mut login(&tenant).await, "create table t (n int)").await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = login(&tenant).await;
        asking.spawn(async move {
            let mut answered = 0_i64;
            let mut question = Vec::new();
            write::query(&mut question, b"insert into t values (1)").expect("it fits");
            loop {
                // The gateway reads on until we have seen the end.
                client.send(&question).await.expect("somebody reads");
                match answer(&mut client).await {
                    None => answered += 1,
                    Some(sqlstate) => return (answered, sqlstate),
                }
            }
        });
    }
    let mut inside = stack.inside(&tenant).await;
    wait_until("they ask", async || rows(&mut inside).await > 100).await;
    stack.stop_gateway().await.expect("the gateway stops in order");
    let mut answered = 0;
    while let Some(ended) = asking.join_next().await {
        let (count, sqlstate) = ended.expect("no panic");
        assert_eq!(sqlstate, "57P01");
        answered += count;
    }
    assert_eq!(
        rows(&mut inside).await,
        answered,
        "what was refused was not done, what was done was answered"
    );
    stack.stop().await;
}

/// The error that a question is answered with, if it is.
async fn answer(client: &mut WireClient) -> Option<String> {
    loop {
        // Not `connection reset`: the reason always arrives.
        let message = client.message().await.expect("an answer");
        match message.tag {
            b'E' => return Some(message.sqlstate()),
            b'Z' => return None,
            _ => {}
        }
    }
}

async fn rows(inside: &mut tokio_postgres::Client) -> i64 {
    inside.query_one("select count(*) from t", &[]).await.expect("an answer").get(0)
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
        assert_eq!(refused(&config).await, "57P01");
        blocker.batch_execute("select pg_advisory_unlock(1)").await.expect("an administrator may");
    };
    let (stopped, ()) = tokio::join!(stack.stop_gateway(), release);
    stopped.expect("the gateway stops in order");
    let answer = request.await.expect("it was sent").expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    stack.stop().await;
}

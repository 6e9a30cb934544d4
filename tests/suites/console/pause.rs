//! PAUSE and RESUME: nothing is lost, nothing runs meanwhile.

use super::{STACK, admin, console, row, run, show, sqlstate, tenant, tenant_on};
use harness::wire::WireClient;
use harness::{Stack, Tool, wait_until};
use pgwire::frontend::write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use suites::{admin, deaf};
use tenantry::dev::StackOptions;

/// Runs pgbench's own tables and transactions on a tenant.
async fn pgbench(dsn: &str, arguments: &[&str]) -> String {
    Tool::Pgbench.run([&[dsn][..], arguments].concat(), "").await.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_transaction_is_lost_and_none_runs_during_the_pause() {
    let tenant = tenant("benched", 4).await;
    let dsn = tenant.connection_string.clone();
    pgbench(&dsn, &["-i", "-q"]).await;
    let load = tokio::spawn({
        let dsn = dsn.clone();
        async move { pgbench(&dsn, &["-n", "-N", "-c", "8", "-t", "400"]).await }
    });
    let mut client = console(&admin()).await;
    wait_until("the load has begun", async || {
        let pool = row(&mut client, "SHOW POOLS", "database", "benched").await;
        pool.is_some_and(|pool| pool["sv_active"].as_deref() != Some("0"))
    })
    .await;
    let cluster = admin::connect(&STACK, "eu-1").await;
    for _ in 0..5 {
        run(&mut client, "PAUSE benched").await;
        assert!(row(&mut client, "SHOW SERVERS", "database", "benched").await.is_none(), "a server is left");
        let database = row(&mut client, "SHOW DATABASES", "name", "benched").await.expect("a row");
        assert_eq!(database["paused"].as_deref(), Some("1"));
        let physical = database["database"].as_deref().expect("a database");
        wait_until("the server has let go of every connection", async || {
            let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
            cluster.query_one(query, &[&physical]).await.expect("an answer").get::<_, i64>(0) == 0
        })
        .await;
        run(&mut client, "RESUME benched").await;
    }
    let report = load.await.expect("the load ends");
    assert!(report.contains("number of transactions actually processed: 3200/3200"), "{report}");
    let check = tenant.connect().await;
    let count: i64 = check.query_one("SELECT count(*) FROM pgbench_history", &[]).await.unwrap().get(0);
    assert_eq!(count, 3200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_waits_for_what_runs_and_holds_back_what_comes() {
    let tenant = tenant("held", 2).await;
    let mut running = WireClient::login(&tenant.config()).await.expect("let in");
    let mut waiting = WireClient::login(&tenant.config()).await.expect("let in");
    running.query("BEGIN").await.unwrap();
    let pausing = tokio::spawn(async {
        let mut client = console(&admin()).await;
        run(&mut client, "PAUSE held").await;
    });
    let mut client = console(&admin()).await;
    wait_until("it is paused", async || {
        row(&mut client, "SHOW TENANTS", "tenant", "held").await.unwrap()["paused"].as_deref() == Some("1")
    })
    .await;
    let done = Arc::new(AtomicU64::new(0));
    let held = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let value = waiting.value("SELECT 5").await;
            done.fetch_add(1, Ordering::SeqCst);
            value
        }
    });
    // Over HTTP as well.
    let by_http = tokio::spawn({
        let (tenant, done) = (tenant.clone(), Arc::clone(&done));
        async move {
            let answer = STACK.http_query(&tenant, "SELECT 6 AS n", &[]).await;
            done.fetch_add(1, Ordering::SeqCst);
            answer
        }
    });
    wait_until("both wait", async || {
        row(&mut client, "SHOW TENANTS", "tenant", "held").await.unwrap()["held_back"].as_deref() == Some("2")
    })
    .await;
    // What runs goes on, and its end is the pause's beginning.
    assert_eq!(running.value("SELECT 4").await, "4");
    assert!(!pausing.is_finished());
    running.query("COMMIT").await.unwrap();
    pausing.await.expect("the pause takes hold");
    assert_eq!(done.load(Ordering::SeqCst), 0);
    run(&mut client, "RESUME held").await;
    assert_eq!(held.await.unwrap(), "5");
    assert_eq!(by_http.await.unwrap().0, 200);
    assert_eq!(sqlstate(&mut client, "RESUME held").await, "55000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pause_ends() {
    let tenant = tenant("undecided", 2).await;
    let mut running = WireClient::login(&tenant.config()).await.expect("let in");
    running.query("BEGIN").await.unwrap();
    let (operator, connection) = admin().connect(tokio_postgres::NoTls).await.expect("let in");
    tokio::spawn(connection);
    let cancel = operator.cancel_token();
    let pausing = tokio::spawn(async move { operator.simple_query("PAUSE undecided").await });
    let mut client = console(&admin()).await;
    wait_until("it is paused", async || {
        row(&mut client, "SHOW TENANTS", "tenant", "undecided").await.unwrap()["paused"].as_deref()
            == Some("1")
    })
    .await;
    wait_until("the cancel is heard", async || {
        cancel.cancel_query(tokio_postgres::NoTls).await.expect("sent");
        pausing.is_finished()
    })
    .await;
    let failed = pausing.await.unwrap().expect_err("cancelled");
    assert_eq!(failed.code().map(|code| code.code()), Some("57014"));
    let mut other = WireClient::login(&tenant.config()).await.expect("let in");
    assert_eq!(other.value("SELECT 3").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_connection_waits_for_the_resume_instead() {
    let late = tenant("late", 1).await;
    let mut waiting = WireClient::login(&late.config()).await.expect("let in");
    // They heed no cancel. Once the second ends as well, the tenant has twice its cap, and no other comes.
    let mut message = Vec::new();
    write::query(&mut message, deaf::STATEMENT.as_bytes()).unwrap();
    let cluster = admin::connect(&STACK, "eu-1").await;
    let themselves = format!("FROM pg_stat_activity WHERE {}", deaf::IS_AT_WORK);
    for at_work in 1..=2 {
        let mut deaf = WireClient::login(&late.config()).await.expect("let in");
        deaf.send(&message).await.unwrap();
        wait_until("it is at work", async || {
            let pids = cluster.query(&format!("SELECT pid {themselves}"), &[]).await.expect("an answer");
            pids.len() == at_work
        })
        .await;
        deaf.stream().set_zero_linger().expect("a TCP socket");
    }
    let by_wire = tokio::spawn(async move { waiting.value("SELECT 5").await });
    let by_http = tokio::spawn({
        let late = late.clone();
        async move { STACK.http_query(&late, "SELECT 6 AS n", &[]).await.0 }
    });
    let in_the_queue = async || STACK.metric("tenantry_pool_waiting_clients", &["tenant=\"late\""]).await;
    wait_until("both wait for a connection", async || in_the_queue().await == 2.0).await;
    let mut client = console(&admin()).await;
    run(&mut client, "PAUSE late").await;
    // There is none that would begin a login once there is room.
    assert_eq!(in_the_queue().await, 0.0);
    wait_until("both wait for the resume", async || {
        row(&mut client, "SHOW TENANTS", "tenant", "late").await.unwrap()["held_back"].as_deref() == Some("2")
    })
    .await;
    cluster
        .execute(&format!("SELECT pg_terminate_backend(pid, 60000) {themselves}"), &[])
        .await
        .expect("they end");
    run(&mut client, "RESUME late").await;
    assert_eq!(by_wire.await.unwrap(), "5");
    assert_eq!(by_http.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_paused_and_nobody_for_longer_than_configured() {
    let stack = Stack::start_with(StackOptions::ephemeral().gateway(|gateway| {
        gateway.console.pause_timeout_ms = 200;
    }))
    .await;
    let tenant = tenant_on(&stack, "patient", 2).await;
    let mut worker = WireClient::login(&tenant.config()).await.expect("let in");
    let mut client = console(&super::admin_of(&stack)).await;
    run(&mut client, "PAUSE").await;
    assert_eq!(sqlstate(&mut client, "PAUSE").await, "55000");
    assert_eq!(
        row(&mut client, "SHOW STATE", "key", "paused").await.unwrap()["value"].as_deref(),
        Some("yes")
    );
    assert_eq!(sqlstate(&mut worker, "SELECT 1").await, "57P03");
    let refused = WireClient::login(&tenant.config()).await.err().expect("nobody enters");
    assert_eq!(refused.sqlstate(), "57P03");
    assert_eq!(stack.http_query(&tenant, "SELECT 1", &[]).await.0, 503);
    run(&mut client, "RESUME").await;
    assert_eq!(sqlstate(&mut client, "RESUME").await, "55000");
    // The client that was refused is still there.
    assert_eq!(worker.value("SELECT 2").await, "2");
    assert!(!show(&mut client, "SHOW CLIENTS").await.is_empty());
    stack.stop().await;
}

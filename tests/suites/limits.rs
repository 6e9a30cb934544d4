//! Many tenants on few connections: the budget holds, and everybody is served.

use futures_util::StreamExt;
use harness::{Stack, Tenant, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use suites::{admin, plans};
use tenantry::dev::{ClusterSpec, StackOptions};
use tokio::task::JoinSet;

const TENANTS: usize = 200;
const BUDGET: u32 = 20;
const CREATED_AT_ONCE: usize = 8;

/// Connections that gateways hold, as the server counts them.
const HELD: &str = "select count(*) from pg_stat_activity where usename like 't\\_%'";

async fn small_budget() -> Stack {
    let mut cluster = ClusterSpec::new("eu-1", "eu");
    cluster.connection_budget = BUDGET;
    cluster.capacity = 1_000;
    Stack::start_with(StackOptions::ephemeral().clusters(vec![cluster])).await
}

/// Nobody is to be refused, and how long a machine takes is no part of that: they wait as long as it takes.
async fn create_tenants(stack: &Stack, count: usize) -> Vec<Tenant> {
    plans::add(stack, "patient", plans::limits(5, 100, 1_000, 600_000)).await;
    let bodies = (0..count)
        .map(|number| serde_json::json!({ "slug": format!("t{number}"), "region": "eu", "plan": "patient" }));
    futures_util::stream::iter(bodies)
        .map(async |body| stack.create_tenant_with(body).await)
        .buffered(CREATED_AT_ONCE)
        .collect()
        .await
}

/// Asks the server again and again how many connections it sees, and remembers the most.
fn watch(stack: &Arc<Stack>, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<i64> {
    let (stack, stop) = (Arc::clone(stack), Arc::clone(stop));
    tokio::spawn(async move {
        let admin = admin::connect(&stack, "eu-1").await;
        let most = AtomicI64::new(0);
        while !stop.load(Ordering::Acquire) {
            let held: i64 = admin.query_one(HELD, &[]).await.expect("the cluster answers").get(0);
            most.fetch_max(held, Ordering::AcqRel);
        }
        most.into_inner()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tenants_share_a_budget_of_twenty_and_nobody_is_refused() {
    let stack = Arc::new(small_budget().await);
    let tenants = create_tenants(&stack, TENANTS).await;
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = watch(&stack, &stop);
    let mut working = JoinSet::new();
    for (number, tenant) in tenants.iter().cloned().enumerate() {
        working.spawn(async move {
            let client = tenant.connect().await;
            let own: String =
                client.query_one("select current_database()::text", &[]).await.expect("served").get(0);
            client
                .batch_execute(&format!("create table mine as select {number} as number"))
                .await
                .expect("served");
            for _ in 0..5 {
                let row = client.query_one("select number, current_database()::text from mine", &[]).await;
                let row = row.expect("served");
                assert_eq!(
                    (row.get::<_, i32>(0), row.get::<_, String>(1)),
                    (i32::try_from(number).expect("small"), own.clone())
                );
            }
            own
        });
    }
    let databases: std::collections::HashSet<String> = working.join_all().await.into_iter().collect();
    stop.store(true, Ordering::Release);
    let most = watcher.await.expect("the watcher lives");
    assert_eq!(databases.len(), TENANTS, "every tenant has a database of its own");
    assert!(most <= i64::from(BUDGET), "the server saw {most} connections, the budget is {BUDGET}");
    assert!(most > i64::from(BUDGET) / 2, "the server saw only {most} connections: the test did not press");
    let cluster = ["cluster=\"eu-1\""];
    assert!(stack.metric("tenantry_cluster_connections", &cluster).await <= f64::from(BUDGET));
    assert_eq!(stack.metric("tenantry_cluster_connection_budget", &cluster).await, f64::from(BUDGET));
    assert!(stack.metric("tenantry_pool_evictions_total", &[]).await > 0.0);

    a_full_queue_refuses_and_keeps_its_clients(&stack).await;
    a_clients_limit_is_its_tenants_alone(&stack).await;
}

/// The bound of the queue, on the same stack: starting another costs more than the test.
async fn a_full_queue_refuses_and_keeps_its_clients(stack: &Arc<Stack>) {
    plans::add(stack, "short-queue", plans::limits(1, 100, 2, 30_000)).await;
    let body = serde_json::json!({ "slug": "short-queue", "region": "eu", "plan": "short-queue" });
    let tenant = stack.create_tenant_with(body).await;
    let holder = tenant.connect().await;
    let waiters = [tenant.connect().await, tenant.connect().await];
    let refused = tenant.connect().await;
    holder.batch_execute("begin").await.expect("served");
    let mut waiting = JoinSet::new();
    for waiter in waiters {
        waiting.spawn(async move { waiter.batch_execute("select 1").await });
    }
    let labels = ["tenant=\"short-queue\""];
    wait_until("two wait", async || stack.metric("tenantry_pool_waiting_clients", &labels).await == 2.0)
        .await;
    let error = refused.batch_execute("select 1").await.expect_err("the queue is full");
    let database_error = error.as_db_error().expect("the gateway's own words");
    assert_eq!(database_error.code().code(), "53300");
    assert!(database_error.hint().is_some(), "{database_error:?}");
    holder.batch_execute("commit").await.expect("served");
    for outcome in waiting.join_all().await {
        outcome.expect("served in turn");
    }
    refused.batch_execute("select 1").await.expect("the refused client is still connected");
    let errors = ["tenant=\"short-queue\"", "kind=\"queue_full\""];
    assert_eq!(stack.metric("tenantry_errors_total", &errors).await, 1.0);
}

async fn a_clients_limit_is_its_tenants_alone(stack: &Arc<Stack>) {
    plans::add(stack, "two-clients", plans::limits(5, 2, 10, 30_000)).await;
    let body = serde_json::json!({ "slug": "two-clients", "region": "eu", "plan": "two-clients" });
    let tenant = stack.create_tenant_with(body).await;
    let labels = ["tenant=\"two-clients\""];
    wait_until("earlier clients have left", async || stack.metric("tenantry_clients", &labels).await == 0.0)
        .await;
    let clients = [tenant.connect().await, tenant.connect().await];
    let error = tenant.try_connect().await.expect_err("a third");
    assert_eq!(error.code().map(|code| code.code()), Some("53300"));
    drop(clients);
    wait_until("a place is free", async || tenant.try_connect().await.is_ok()).await;
}

//! Limits that change under load.

use crate::{BUDGET, Busy, CLUSTER, alone, connections, limits, tenant};
use harness::{Stack, wait_until};
use reqwest::Method;
use serde_json::json;
use suites::plans;
use tenantry::client::path;

#[tokio::test(flavor = "multi_thread")]
async fn another_pool_size_is_reached_without_an_error() {
    let (_turn, stack) = alone().await;
    let tenant = tenant(stack, "resized", limits(6, 0, 100)).await;
    let clients = Busy::start(&tenant, 20).await;
    wait_until("it has six", async || connections(stack, &tenant).await == 6.0).await;
    for pool_size in [2, 4] {
        plans::add(stack, "resized", limits(pool_size, 0, 100)).await;
        wait_until("it has as many as it may", async || {
            connections(stack, &tenant).await == f64::from(pool_size)
        })
        .await;
        clients.more_is_served().await;
    }
    clients.stop().await;
}

async fn set_budget(stack: &Stack, budget: u32) {
    let body = json!({ "connection_budget": budget });
    stack.must(Method::PATCH, &path(&["clusters", "eu-1"]), Some(&body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_budget_is_reached_without_an_error() {
    let (_turn, stack) = alone().await;
    let tenants = [
        tenant(stack, "drained1", limits(50, 0, 100)).await,
        tenant(stack, "drained2", limits(50, 0, 100)).await,
    ];
    let clients = [Busy::start(&tenants[0], 20).await, Busy::start(&tenants[1], 20).await];
    let whole = f64::from(BUDGET);
    let held = async || stack.metric("tenantry_cluster_connections", &[CLUSTER]).await;
    wait_until("all is used", async || held().await == whole).await;
    set_budget(stack, BUDGET / 2).await;
    wait_until("half is used", async || held().await <= f64::from(BUDGET / 2)).await;
    for busy in &clients {
        busy.more_is_served().await;
    }
    set_budget(stack, BUDGET).await;
    wait_until("all is used again", async || held().await == whole).await;
    for busy in clients {
        busy.stop().await;
    }
}

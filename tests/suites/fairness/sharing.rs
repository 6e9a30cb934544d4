//! Tenants that want more than there is.

use crate::{BUDGET, Busy, CLUSTER, alone, connections, limits, login, nothing_is_in_use, run, tenant};
use harness::{Stack, Tenant, eventually, wait_until};
use reqwest::Method;
use serde_json::json;
use suites::admin;
use tenantry::client::path;
use tokio::task::JoinSet;

/// What is kept for a tenant.
const FLOOR: u32 = 3;

/// Connections that gateways hold, as the server counts them.
const HELD: &str = "select count(*) from pg_stat_activity where usename like 't\\_%'";

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_tenant_with_many_clients_keeps_no_cold_one_waiting() {
    let (_turn, stack) = alone().await;
    let hot = tenant(stack, "hot", limits(50, 0, 100)).await;
    let mut cold = Vec::new();
    for number in 0..8 {
        cold.push(tenant(stack, &format!("cold{number}"), limits(5, 0, 100)).await);
    }
    let hot_clients = Busy::start(&hot, 60).await;
    wait_until("the hot one has it all", async || connections(stack, &hot).await == f64::from(BUDGET)).await;
    let mut working = JoinSet::new();
    for tenant in cold.clone() {
        working.spawn(async move {
            for _ in 0..3 {
                let mut client = login(&tenant).await;
                run(&mut client, "select 1").await;
            }
        });
    }
    let admin = admin::connect(stack, "eu-1").await;
    let mut most = 0;
    while !working.is_empty() {
        while let Some(done) = working.try_join_next() {
            done.expect("a cold one is served");
        }
        let held: i64 = admin.query_one(HELD, &[]).await.expect("the cluster answers").get(0);
        most = most.max(held);
    }
    hot_clients.more_is_served().await;
    hot_clients.stop().await;
    assert!(most <= i64::from(BUDGET), "the server saw {most} connections");
    let given_up = [
        stack.metric("tenantry_cluster_yields_total", &[CLUSTER, "reason=\"share\""]).await,
        stack.metric("tenantry_cluster_evictions_total", &[CLUSTER, "reason=\"share\""]).await,
    ];
    assert!(given_up.iter().sum::<f64>() >= 1.0, "{given_up:?}");
    nothing_is_in_use(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_weighs_more_gets_more_connections() {
    let (_turn, stack) = alone().await;
    let heavy = tenant(stack, "heavy", limits(50, 0, 400)).await;
    let light = tenant(stack, "light", limits(50, 0, 100)).await;
    let light_clients = Busy::start(&light, 30).await;
    let all = f64::from(BUDGET);
    wait_until("the light one has it all", async || connections(stack, &light).await == all).await;
    let heavy_clients = Busy::start(&heavy, 30).await;
    wait_until("weights are followed", async || {
        let (heavy, light) = (connections(stack, &heavy).await, connections(stack, &light).await);
        light >= 1.0 && heavy >= 3.0 * light && heavy + light <= all
    })
    .await;
    light_clients.more_is_served().await;
    heavy_clients.stop().await;
    light_clients.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_more_busy_tenants_than_connections_all_have_their_turns() {
    let (_turn, stack) = alone().await;
    let mut busy = Vec::new();
    for number in 0..2 * BUDGET {
        let tenant = tenant(stack, &format!("turn{number}"), limits(5, 0, 100)).await;
        busy.push(Busy::start(&tenant, 2).await);
    }
    for clients in &busy {
        clients.more_is_served().await;
    }
    assert!(stack.metric("tenantry_cluster_yields_total", &[CLUSTER, "reason=\"turn\""]).await >= 1.0);
    for clients in busy {
        clients.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_is_free_for_its_tenant_whoever_holds_the_rest() {
    let (_turn, stack) = alone().await;
    let owner = tenant(stack, "owner", limits(5, FLOOR, 100)).await;
    let hot = tenant(stack, "grabber", limits(50, 0, 1_000)).await;
    // Transactions that do not end: nobody could be asked to give way.
    let mut holders = Vec::new();
    let mut waiting = JoinSet::new();
    for number in 0..BUDGET {
        let mut client = login(&hot).await;
        if number < BUDGET - FLOOR {
            run(&mut client, "begin").await;
            holders.push(client);
        } else {
            waiting.spawn(async move { client.query("begin").await.map(drop) });
        }
    }
    wait_until("the others wait", async || {
        stack.metric("tenantry_pool_waiting_clients", &["tenant=\"grabber\""]).await == f64::from(FLOOR)
    })
    .await;
    let mut owners = Vec::new();
    for _ in 0..FLOOR {
        let mut client = login(&owner).await;
        run(&mut client, "begin").await;
        owners.push(client);
    }
    waiting.shutdown().await;
    drop((holders, owners));
    nothing_is_in_use(stack).await;
    // Its floor is kept for as long as it may come back, and other tests are to have all there is.
    stack.change_state("owner", "suspend").await;
    wait_until("nothing is kept any more", async || {
        stack.metric("tenantry_cluster_reserved_connections", &[CLUSTER]).await == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_of_one_user_do_not_hold_another_user_up() {
    let (_turn, stack) = alone().await;
    let tenant = tenant(stack, "users", limits(1, 0, 100)).await;
    let crowd = Busy::start(&tenant, 40).await;
    wait_until("the crowd waits", async || {
        stack.metric("tenantry_pool_waiting_clients", &["tenant=\"users\""]).await >= 30.0
    })
    .await;
    // The key that requests over HTTP come with is another user.
    let before = crowd.served();
    let (status, answer) = stack.http_query(&tenant, "select 1", &[]).await;
    let served_meanwhile = crowd.served() - before;
    assert_eq!(status, 200, "{answer}");
    assert!(served_meanwhile < 30, "{served_meanwhile} of the crowd went first");
    crowd.stop().await;
}

/// The tenant with one more key.
async fn with_another_key(stack: &Stack, tenant: &Tenant) -> Tenant {
    let credentials = path(&["tenants", &tenant.id, "credentials"]);
    let made = stack.must(Method::POST, &credentials, Some(&json!({ "kind": "api-key" }))).await;
    let api_key = made["api_key"].as_str().expect("it is shown once").to_owned();
    let tenant = Tenant { api_key, ..tenant.clone() };
    eventually("the gateway knows the key", async || {
        (stack.http_query(&tenant, "select 1", &[]).await.0 == 200).then_some(())
    })
    .await;
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_with_one_key_do_not_hold_another_key_up() {
    const CROWD: u32 = 20;
    let (_turn, stack) = alone().await;
    let tenant = tenant(stack, "keys", limits(1, 0, 100)).await;
    let other = with_another_key(stack, &tenant).await;
    let mut holder = login(&tenant).await;
    run(&mut holder, "create table served (turn serial, who text)").await;
    run(&mut holder, "begin").await;
    let mut requests = JoinSet::new();
    let mut ask = async |of: &Tenant, waiting: u32| {
        let of = of.clone();
        requests.spawn(async move {
            let insert = "insert into served (who) values ($1)";
            stack.http_query(&of, insert, &[&of.api_key]).await
        });
        wait_until("it waits", async || {
            stack.metric("tenantry_pool_waiting_clients", &["tenant=\"keys\""]).await == f64::from(waiting)
        })
        .await;
    };
    for waiting in 1..=CROWD {
        ask(&tenant, waiting).await;
    }
    ask(&other, CROWD + 1).await;
    run(&mut holder, "commit").await;
    for (status, answer) in requests.join_all().await {
        assert_eq!(status, 200, "{answer}");
    }
    let turn = "select turn from served where who = $1";
    let (_, answer) = stack.http_query(&other, turn, &[&other.api_key]).await;
    let turn = answer["rows"][0]["turn"].as_u64().expect("it was served");
    assert!(turn <= 3, "{} of the crowd went first", turn - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_leave_nothing_behind() {
    let (_turn, stack) = alone().await;
    let tenant = tenant(stack, "vanishing", limits(4, 0, 100)).await;
    for _ in 0..3 {
        let mut clients = Vec::new();
        for number in 0..12 {
            let mut client = login(&tenant).await;
            let sql = if number % 2 == 0 { "begin; select pg_sleep(60)" } else { "select pg_sleep(60)" };
            let mut message = Vec::new();
            pgwire::frontend::write::query(&mut message, sql.as_bytes()).expect("it fits");
            client.send(&message).await.expect("sent");
            clients.push(client);
        }
        wait_until("some wait", async || {
            stack.metric("tenantry_pool_waiting_clients", &["tenant=\"vanishing\""]).await >= 8.0
        })
        .await;
        drop(clients);
        nothing_is_in_use(stack).await;
    }
    let mut client = login(&tenant).await;
    run(&mut client, "select 1").await;
}

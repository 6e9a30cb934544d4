//! Connections that were closed while their backends go on.

use crate::{BUDGET, CLUSTER, alone, limits, login, nothing_is_in_use, run, tenant};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use pgwire::frontend::write;
use suites::{admin, deaf};
use tenancy::Limits;
use tokio_postgres::Client;

/// Backends of clients, and those of them that are deaf.
async fn backends(admin: &Client) -> (i64, i64) {
    let row = admin
        .query_one(
            &format!(
                "select count(*), count(*) filter (where {}) from pg_stat_activity \
                 where backend_type = 'client backend' and datname like 't_%' and pid <> pg_backend_pid()",
                deaf::IS_AT_WORK
            ),
            &[],
        )
        .await
        .expect("an answer");
    (row.get(0), row.get(1))
}

/// A client begins what heeds no cancel, and is gone.
async fn run_deaf_and_leave(tenant: &Tenant) -> WireClient {
    let mut client = login(tenant).await;
    let mut message = Vec::new();
    write::query(&mut message, deaf::STATEMENT.as_bytes()).expect("it fits");
    client.send(&message).await.expect("sent");
    client
}

fn reset(mut client: WireClient) {
    client.stream().set_zero_linger().expect("a TCP socket");
}

async fn stuck(stack: &Stack) -> f64 {
    stack.metric("tenantry_cluster_stuck_connections", &[CLUSTER]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_heeds_no_cancel_takes_its_own_tenants_place() {
    let (_turn, stack) = alone().await;
    let admin = admin::connect(stack, "eu-1").await;
    let deaf = tenant(stack, "deaf", Limits { checkout_timeout_ms: 3_000, ..limits(1, 0, 100) }).await;
    let idle = tenant(stack, "idle", limits(50, 0, 100)).await;
    let late = tenant(stack, "late-comer", Limits { checkout_timeout_ms: 20_000, ..limits(5, 0, 100) }).await;

    // One takes the tenant's only place, the next what may be ending besides.
    for number in 1..=2 {
        let left = run_deaf_and_leave(&deaf).await;
        wait_until("it is at work", async || backends(&admin).await.1 == number).await;
        reset(left);
    }
    // Whoever comes then, at once and later, begins no third one.
    for _ in 0..3 {
        let mut next = run_deaf_and_leave(&deaf).await;
        let refused = next.message().await.expect("an answer");
        assert_eq!(refused.sqlstate(), "53300", "{}", refused.text());
        assert_eq!(backends(&admin).await.1, 2);
        reset(next);
    }
    wait_until("nobody counts on them", async || stuck(stack).await == 2.0).await;

    // All the others are idle, and go to whoever lacks one.
    let mut clients = Vec::new();
    while stack.metric("tenantry_cluster_connections", &[CLUSTER]).await < f64::from(BUDGET) {
        let mut client = login(&idle).await;
        run(&mut client, "begin").await;
        clients.push(client);
    }
    assert!(backends(&admin).await.0 <= i64::from(BUDGET));
    for client in &mut clients {
        run(client, "commit").await;
    }
    let mut served = login(&late).await;
    run(&mut served, "select 1").await;
    let (all, still_deaf) = backends(&admin).await;
    assert!(all <= i64::from(BUDGET) && still_deaf == 2, "{all} backends");

    admin
        .execute(
            &format!("select pg_terminate_backend(pid) from pg_stat_activity where {}", deaf::IS_AT_WORK),
            &[],
        )
        .await
        .expect("it ends");
    let mut client = login(&deaf).await;
    run(&mut client, "select 1").await;
    // One of the two may be ending yet.
    wait_until("the server has let go of both", async || stuck(stack).await == 0.0).await;
    drop((clients, served, client));
    nothing_is_in_use(stack).await;
}

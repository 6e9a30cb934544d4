//! Clients that keep their connections.

use crate::{BUDGET, CLUSTER, alone, limits, login, nothing_is_in_use, run, tenant};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use pgwire::frontend::write;
use tenancy::Limits;

/// Of the budget, what clients may keep.
const KEPT_MAX: u32 = BUDGET * 80 / 100;

async fn session(tenant: &Tenant) -> WireClient {
    let whose = [("user", "app"), ("database", tenant.slug.as_str()), ("pool_mode", "session")];
    match WireClient::login_as(&tenant.config(), &whose).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn long_held(stack: &Stack, kind: &str) -> f64 {
    let kind = format!("kind=\"{kind}\"");
    stack.metric("tenantry_cluster_long_held_connections", &[CLUSTER, &kind]).await
}

/// As many clients in session mode as may be.
async fn all_sessions(stack: &Stack, tenant: &Tenant) -> Vec<WireClient> {
    let mut sessions = Vec::new();
    while long_held(stack, "session").await < f64::from(KEPT_MAX) {
        let mut client = session(tenant).await;
        run(&mut client, "select 1").await;
        sessions.push(client);
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_leave_connections_to_transactions_and_wait_for_their_turn() {
    let (_turn, stack) = alone().await;
    let greedy = tenant(stack, "sessions", limits(50, 0, 1_000)).await;
    let other = tenant(stack, "transactions", limits(5, 0, 1)).await;
    let mut sessions = all_sessions(stack, &greedy).await;
    let mut one_more = session(&greedy).await;
    let waiting = tokio::spawn(async move {
        run(&mut one_more, "select 1").await;
        one_more
    });
    wait_until("it waits", async || {
        stack.metric("tenantry_pool_waiting_clients", &["tenant=\"sessions\""]).await == 1.0
    })
    .await;
    let mut client = login(&other).await;
    run(&mut client, "begin").await;
    run(&mut client, "commit").await;
    // The first to leave makes room.
    drop(sessions.pop());
    let one_more = waiting.await.expect("it is served in turn");
    drop((sessions, one_more));
    nothing_is_in_use(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_keep_a_connection_is_told_so() {
    let (_turn, stack) = alone().await;
    // Long enough for a login to the server, which whoever comes first waits for, on a machine that has much to do.
    let hasty = Limits { checkout_timeout_ms: 5_000, ..limits(50, 0, 100) };
    let keeper = tenant(stack, "keeper", limits(50, 0, 100)).await;
    let late = tenant(stack, "late", hasty).await;
    let sessions = all_sessions(stack, &keeper).await;

    let mut in_session_mode = session(&late).await;
    let refused = in_session_mode.query("select 1").await.expect("an answer");
    let error = refused.iter().find(|message| message.tag == b'E').expect("it is refused");
    assert_eq!(error.sqlstate(), "53300", "{}", error.text());

    let mut pins = login(&late).await;
    let mut message = Vec::new();
    write::query(&mut message, b"create temp table kept (a int)").expect("it fits");
    pins.send(&message).await.expect("sent");
    let answer = pins.until_end().await.expect("the gateway ends it");
    let last = answer.last().expect("something was said");
    assert_eq!(answer[0].tag, b'C', "what it asked for was done: {answer:?}");
    assert_eq!(last.sqlstate(), "53300", "{}", last.text());
    let labels = ["tenant=\"late\"", "kind=\"long_holds\""];
    assert_eq!(stack.metric("tenantry_errors_total", &labels).await, 2.0);

    drop(sessions);
    nothing_is_in_use(stack).await;
    let mut pins = login(&late).await;
    run(&mut pins, "create temp table kept (a int)").await;
    wait_until("it is counted", async || long_held(stack, "pinned").await == 1.0).await;
    run(&mut pins, "select * from kept").await;
}

//! Clients that keep their connections while a gateway's share falls below them: transactions go on beside them.

use crate::fleet::{self, Entry, Watch, Work};
use crate::{BUDGET, ONE_AT_A_TIME, assert_within};
use harness::{Stack, Tenant, eventually, wait_until};
use serde_json::json;
use suites::plans;
use tokio_postgres::{Client, NoTls};

/// More than the half of the budget that a gateway falls back to, and than what is due to each of two.
const KEPT: u32 = 14;

/// Two tenants that one connection goes to and fro between.
const TRANSACTIONS: usize = 5;

async fn login(entry: &Entry, tenant: &Tenant) -> Client {
    let config = entry.through(tenant);
    let (client, connection) =
        eventually("a client is let in", async || config.connect(NoTls).await.ok()).await;
    tokio::spawn(connection);
    client
}

/// Clients that each keep a connection. There is work meanwhile, so that the gateway has all that one may have.
async fn keepers(stack: &Stack, entry: &Entry, tenants: &[Tenant]) -> Vec<Client> {
    let work = Work::start(entry, tenants).await;
    entry.has_share_of(f64::from(BUDGET - 1)).await;
    let mut keepers = Vec::new();
    for _ in 0..KEPT {
        let client = login(entry, &tenants[0]).await;
        client.batch_execute("create temp table kept (a int)").await.expect("it may keep its connection");
        keepers.push(client);
    }
    wait_until("they are counted", async || long_held(stack).await == f64::from(KEPT)).await;
    work.stop().await;
    keepers
}

/// One client of each of two tenants that wait for less long than the test would.
async fn others(stack: &Stack, entry: &Entry) -> Vec<Client> {
    plans::add(stack, "hasty", plans::limits(10, 10, 10, 20_000)).await;
    let mut clients = Vec::new();
    for slug in ["one", "two"] {
        let tenant = stack.create_tenant_with(json!({ "slug": slug, "region": "eu", "plan": "hasty" })).await;
        clients.push(login(entry, &tenant).await);
    }
    transactions_go_on(&clients).await;
    clients
}

async fn transactions_go_on(clients: &[Client]) {
    for _ in 0..TRANSACTIONS {
        for client in clients {
            client.batch_execute("begin; select 1; commit").await.expect("served");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_go_on_at_a_gateway_whose_floor_its_clients_fill() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, tenants) = fleet::stack(BUDGET).await;
    let entry = Entry::of(&stack);
    let others = others(&stack, &entry).await;
    let keepers = keepers(&stack, &entry, &tenants).await;
    let watch = Watch::start(&stack).await;
    stack.catalog().kill().await.expect("the catalog is killed");
    wait_until("only the floor is used", async || {
        entry.metric("tenantry_cluster_share").await == Some(f64::from(BUDGET / 2))
    })
    .await;
    wait_until("one connection is left", async || watch.now() <= i64::from(KEPT) + 1).await;
    watch.most();
    transactions_go_on(&others).await;
    assert_within(watch.stop().await, KEPT + 1);
    stack.catalog().start_again().await.expect("it comes up again");
    for keeper in &keepers {
        keeper.batch_execute("select * from kept").await.expect("nobody was cut off");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_go_on_at_a_gateway_whose_clients_keep_what_another_could_use() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, tenants) = fleet::stack(BUDGET).await;
    let entry = Entry::of(&stack);
    let others = others(&stack, &entry).await;
    let watch = Watch::start(&stack).await;
    let keepers = keepers(&stack, &entry, &tenants).await;
    let busy = Entry::another(&mut stack).await;
    let work = Work::start(&busy, &tenants[1..]).await;
    // One connection of the budget stays free.
    busy.has_share_of(f64::from(BUDGET - 1 - (KEPT + 1))).await;
    transactions_go_on(&others).await;
    let share = entry.metric("tenantry_cluster_share").await;
    assert_eq!(share, Some(f64::from(KEPT + 1)), "what cannot be given up is not asked for");
    // Whoever lets go gives it to those who work.
    drop(keepers);
    busy.has_share_of(f64::from(BUDGET / 2)).await;
    transactions_go_on(&others).await;
    work.stop().await;
    assert_within(watch.stop().await, BUDGET);
    stack.stop().await;
}

/// What one gateway may have of the budget, but for what stays for transactions.
const KEPT_AT_MOST: u32 = (BUDGET - 1) * 80 / 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_asks_for_more_before_a_client_is_refused_that_pins() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (stack, tenants) = fleet::stack(BUDGET).await;
    let entry = Entry::of(&stack);
    let mut keepers = Vec::new();
    for number in 1..=KEPT_AT_MOST {
        // Nobody else wants anything: without a request the share ends where four fifths of it are kept. The catalog may
        // be slow, and the client come again.
        let keeper = eventually("the client may keep its connection", async || {
            let client = login(&entry, &tenants[0]).await;
            client.batch_execute("create temp table kept (a int)").await.ok()?;
            wait_until("it is counted, or gone", async || {
                client.is_closed() || long_held(&stack).await == f64::from(number)
            })
            .await;
            (!client.is_closed()).then_some(client)
        })
        .await;
        keepers.push(keeper);
    }
    for keeper in &keepers {
        keeper.batch_execute("select * from kept").await.expect("it has kept its connection");
    }
    stack.stop().await;
}

async fn long_held(stack: &Stack) -> f64 {
    stack.metric("tenantry_cluster_long_held_connections", &["kind=\"pinned\""]).await
}

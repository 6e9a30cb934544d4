//! Servers that are away, silent or rude for longer than anybody waits for them.

use crate::{HERE, World, all_ask, hint, login, logins, refusal};
use harness::wire::WireClient;
use harness::{Direction, End, Fault, FaultProxy, Tenant, eventually, wait_until};
use std::net::SocketAddr;
use tokio::task::JoinSet;

const CONNECT_TIMEOUT_MS: u64 = 400;
const PATIENCE_MS: u64 = 1_500;
const TENANTS: usize = 5;
const CLIENTS_EACH: usize = 4;

async fn world() -> World {
    World::start(|gateway| {
        gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        gateway.pool.outage_patience_ms = PATIENCE_MS;
        gateway.pool.retry_pause_max_ms = 1_000;
    })
    .await
}

async fn ask_in_vain(mut client: WireClient) -> WireClient {
    let answer = client.query("select 1").await.expect("an error leaves the client connected");
    let error = refusal(&answer).unwrap_or_else(|| panic!("answered: {answer:?}"));
    assert!(["08006", "57P03"].contains(&&*error.sqlstate()), "{error:?}");
    assert!(hint(error).contains("the gateway"), "no word of when to try again: {error:?}");
    client
}

/// They all ask, are all refused, and cost the server no more than a login now and then.
async fn all_are_refused(world: &World, clients: Vec<WireClient>) -> Vec<WireClient> {
    let before = world.logins("failed").await;
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(ask_in_vain(client));
    }
    let clients = asking.join_all().await;
    let tried = world.logins("failed").await - before;
    // The first of each pool at the same time, then one for all of them.
    assert!((1.0..=25.0).contains(&tried), "{tried} logins");
    clients
}

/// While the breaker is open, clients are refused at once or have the next login tried.
async fn refused_in_words(world: &World, tenant: &Tenant) {
    world.breaker_is(&[2.0, 3.0]).await;
    let shown = world.shown().await;
    assert!(["open", "probing"].contains(&&*shown["breaker"]), "{shown:?}");
    assert!(!shown["trouble"].is_empty() && !shown["next_login_ms"].is_empty(), "{shown:?}");
    let request = reqwest::Client::new()
        .post(&tenant.http_endpoint)
        .bearer_auth(&tenant.api_key)
        .json(&serde_json::json!({ "query": "select 1" }));
    let answer = request.send().await.expect("the gateway answers");
    assert_eq!(answer.status().as_u16(), 503);
    let pause = answer.headers().get("retry-after").expect("it says when to come back");
    let pause: u64 = pause.to_str().expect("a number").parse().expect("a number");
    assert!((1..=2).contains(&pause), "{pause} s");
}

async fn all_are_served_again(
    world: &World,
    tenants: &[Tenant],
    clients: Vec<WireClient>,
) -> Vec<WireClient> {
    let served = async || {
        let mut client = WireClient::login(&tenants[0].config()).await.ok()?;
        let answer = client.query("select 1").await.ok()?;
        refusal(&answer).is_none().then_some(())
    };
    eventually("somebody is served", served).await;
    // One has closed the breaker for all.
    world.breaker_is(&[0.0]).await;
    all_ask(clients).join_all().await
}

async fn tenants_and_clients(world: &World) -> (Vec<Tenant>, Vec<WireClient>) {
    let (mut tenants, mut clients) = (Vec::new(), Vec::new());
    for number in 0..TENANTS {
        let tenant = world.tenant(&format!("hit-{number}"), "three").await;
        clients.extend(logins(&tenant, CLIENTS_EACH).await);
        tenants.push(tenant);
    }
    (tenants, clients)
}

async fn proxied(world: &World) -> FaultProxy {
    let target: SocketAddr = world.stack.cluster_address(HERE);
    let proxy = FaultProxy::start(target).await;
    world.stack.readdress_cluster(HERE, proxy.address()).await;
    proxy
}

/// One that accepts and never answers, one that resets every connection, one that closes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nobody_is_tried_by_one_for_all() {
    let world = world().await;
    let proxy = proxied(&world).await;
    let (tenants, mut clients) = tenants_and_clients(&world).await;
    for end in [End::BlackHole, End::Reset, End::Close] {
        clients = all_ask(clients).join_all().await;
        assert!(proxy.open() > 0, "the way leads through the proxy");
        proxy.set(Direction::FromTarget, Fault::After(0, end));
        proxy.end_all(End::Close);
        wait_until("no connection is left", async || proxy.open() == 0).await;
        clients = all_are_refused(&world, clients).await;
        refused_in_words(&world, &tenants[1]).await;
        proxy.set(Direction::FromTarget, Fault::None);
        proxy.end_all(End::Close);
        clients = all_are_served_again(&world, &tenants, clients).await;
    }
    drop(clients);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_refuses_its_own_tenants_at_once_until_it_is_back() {
    let mut world = world().await;
    let (tenants, mut clients) = tenants_and_clients(&world).await;
    clients = all_ask(clients).join_all().await;
    world.stack.cluster(HERE).expect("a cluster").kill().await.expect("it is killed");
    clients = all_are_refused(&world, clients).await;
    refused_in_words(&world, &tenants[1]).await;
    let refused = ["cluster=\"eu-1\""];
    assert!(world.stack.metric("tenantry_cluster_breaker_refusals_total", &refused).await >= 1.0);
    let opened = ["cluster=\"eu-1\"", "to=\"open\""];
    assert!(world.stack.metric("tenantry_cluster_breaker_transitions_total", &opened).await >= 1.0);
    world.stack.cluster(HERE).expect("a cluster").start_again().await.expect("it comes back");
    clients = all_are_served_again(&world, &tenants, clients).await;
    drop(clients);
    world.ends_well().await;
}

/// A client whose own time-out comes before the others' patience ends hears what is wrong, not that it was busy.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_first_hears_why() {
    let mut world = World::start(|gateway| gateway.pool.outage_patience_ms = 60_000).await;
    suites::plans::add(&world.stack, "hasty", suites::plans::limits(1, 100, 100, 300)).await;
    let tenant = world.tenant("hasty", "hasty").await;
    let mut client = login(&tenant).await;
    world.stack.cluster(HERE).expect("a cluster").kill().await.expect("it is killed");
    let answer = client.query("select 1").await.expect("an error leaves the client connected");
    let error = refusal(&answer).expect("nobody is there");
    assert_eq!(error.sqlstate(), "08006", "{error:?}");
    world.stack.cluster(HERE).expect("a cluster").start_again().await.expect("it comes back");
    eventually("it is served", async || {
        let answer = client.query("select 1").await.expect("an error leaves the client connected");
        refusal(&answer).is_none().then_some(())
    })
    .await;
    drop(client);
    world.ends_well().await;
}

//! A tenant's rate of requests: what comes beyond it waits or is refused, and nobody else notices.

use crate::{Busy, alone, limits, login, nothing_is_in_use, tenant};
use harness::wire::WireClient;
use harness::{Stack, Tenant, eventually, wait_until};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Instant;
use suites::flood::{Flood, is_refused};
use suites::plans;
use tenancy::Limits;
use tenantry::client::path;

/// Limits of which only the rate is felt.
const fn rate(requests_per_second: u32, request_burst: u32) -> Limits {
    Limits { requests_per_second, request_burst, ..limits(5, 0, 100) }
}

/// The most that may have been served since: a rate and a burst.
fn most_in(started: Instant, rate: u32, burst: u32) -> u64 {
    u64::from(burst) + u64::from(rate) * (started.elapsed().as_secs() + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_gets_its_rate_and_its_neighbour_no_refusal() {
    let (_turn, stack) = alone().await;
    let (rate_max, burst) = (5, 4);
    let flooding = tenant(stack, "flooding", rate(rate_max, burst)).await;
    let quiet = tenant(stack, "beside-a-flood", limits(5, 0, 100)).await;
    let neighbour = Busy::start(&quiet, 2).await;
    let started = Instant::now();
    let flood = Flood::start(&flooding.config(), 20, "select 1").await;
    // Some clients wait, the others are refused.
    wait_until("it is refused, and served", async || flood.refused() >= 30 && flood.served() >= 10).await;
    let served = flood.served();
    let most = most_in(started, rate_max, burst);
    assert!(served <= most, "{served} were served, where {most} may be");
    // It meets no error, or this panics.
    neighbour.more_is_served().await;
    neighbour.stop().await;
    let labels = ["tenant=\"flooding\"", "kind=\"rate_limited\""];
    assert!(stack.metric("tenantry_errors_total", &labels).await >= 30.0);
    assert_eq!(stack.metric("tenantry_errors_total", &["tenant=\"beside-a-flood\""]).await, 0.0);
    // It bought more, and hears of it at once.
    plans::add(stack, "flooding", rate(0, 0)).await;
    let before = flood.served();
    wait_until("nothing is held up any more", async || flood.served() >= before + 500).await;
    flood.stop().await;
    nothing_is_in_use(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_rate_holds_at_once_and_drops_nobody() {
    let (_turn, stack) = alone().await;
    // More than can wait for their turn.
    let clients = 12;
    let slowed = tenant(stack, "slowed", rate(0, 0)).await;
    let flood = Flood::start(&slowed.config(), clients, "select 1").await;
    wait_until("it has no limit", async || flood.served() >= 300).await;
    assert_eq!(flood.refused(), 0);
    for (rate_max, burst) in [(5, 4), (2, 2)] {
        plans::add(stack, "slowed", rate(rate_max, burst)).await;
        let refused = flood.refused();
        wait_until("the smaller one is in force", async || flood.refused() >= refused + 20).await;
        let (started, served) = (Instant::now(), flood.served());
        wait_until("it is served", async || flood.served() >= served + 12).await;
        let served = flood.served() - served;
        let most = most_in(started, rate_max, burst) + u64::try_from(clients).expect("few");
        assert!(served <= most, "{served} were served, where {most} may be");
    }
    flood.stop().await;
    nothing_is_in_use(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_never_cut_and_owes_what_it_took() {
    let (_turn, stack) = alone().await;
    let owing = tenant(stack, "owing", rate(1, 1)).await;
    let (mut client, mut other) = (login(&owing).await, login(&owing).await);
    begin(&mut client).await;
    for number in 0..9 {
        let answer = client.query("select 1").await.expect("an answer");
        assert!(!is_refused(&answer), "statement {number} of a transaction");
    }
    assert!(!is_refused(&client.query("commit").await.expect("an answer")));
    // Ten seconds of its rate are owed; nobody waits for so long.
    assert!(is_refused(&other.query("select 1").await.expect("an answer")));
    plans::add(stack, "owing", rate(0, 0)).await;
    wait_until("its debt is forgiven with its limit", async || {
        !is_refused(&other.query("select 1").await.expect("an answer"))
    })
    .await;
}

/// What a tenant may owe at most, in seconds of its rate.
const OWED_SECONDS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_owes_as_much_as_may_be_owed_goes_on_at_its_rate() {
    let (_turn, stack) = alone().await;
    let endless = tenant(stack, "endless", rate(20, 5)).await;
    let mut client = login(&endless).await;
    begin(&mut client).await;
    let started = Instant::now();
    for number in 0..300_u64 {
        let answer = client.query("select 1").await.expect("an answer");
        assert!(!is_refused(&answer), "statement {number} of a transaction");
        let most = most_in(started, 20, 5) + OWED_SECONDS * 20;
        assert!(number <= most, "{number} in one transaction, where {most} may be");
    }
    assert!(!is_refused(&client.query("rollback").await.expect("an answer")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_pays_for_each_time_that_it_has_something_executed() {
    let (_turn, stack) = alone().await;
    let flushing = tenant(stack, "flushing", rate(2, 5)).await;
    let (mut client, mut other) = (login(&flushing).await, login(&flushing).await);
    begin(&mut client).await;
    client.query("rollback").await.expect("an answer");
    let mut message = Vec::new();
    pgwire::frontend::write::parse(&mut message, b"s", b"select 1", &[]).expect("it fits");
    client.send(&message).await.expect("it is read");
    for _ in 0..30 {
        message.clear();
        pgwire::frontend::write::bind_text(&mut message, b"", b"s", &[]).expect("it fits");
        pgwire::frontend::write::execute(&mut message, b"", 0).expect("it fits");
        pgwire::frontend::write::flush(&mut message);
        client.send(&message).await.expect("it is read");
        while client.message().await.expect("an answer").tag != b'C' {}
    }
    assert!(is_refused(&other.query("select 1").await.expect("an answer")), "it was all one request");
}

/// The first request may have come before the catalog has said what the tenant's share is.
async fn begin(client: &mut WireClient) {
    eventually("a transaction begins", async || {
        (!is_refused(&client.query("begin").await.expect("an answer"))).then_some(())
    })
    .await;
}

/// Fewer than the tenant has connections: some of those stay for transactions.
const KEPT: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_keep_their_connections_are_refused_there_and_keep_them() {
    let (_turn, stack) = alone().await;
    let keeping = tenant(stack, "keeping-pace", rate(0, 0)).await;
    // The first request of each leaves something behind that lives as long as its connection.
    let clients = usize::try_from(KEPT).expect("few");
    let flood = Flood::start(&keeping.config(), clients, "create temp table mine as select 1").await;
    let pinned = ["tenant=\"keeping-pace\""];
    wait_until("all keep theirs", async || {
        stack.metric("tenantry_pins_total", &pinned).await >= f64::from(KEPT)
    })
    .await;
    // Of three one may wait for its turn at a time.
    plans::add(stack, "keeping-pace", rate(1, 1)).await;
    let before = flood.refused();
    wait_until("some are refused there", async || flood.refused() >= before + 3).await;
    flood.stop().await;
    assert_eq!(
        stack.metric("tenantry_pins_total", &pinned).await,
        f64::from(KEPT),
        "nobody lost its connection"
    );
    nothing_is_in_use(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_ahead_are_each_counted() {
    let (_turn, stack) = alone().await;
    let ahead = tenant(stack, "sent-ahead", rate(1, 3)).await;
    let mut client = login(&ahead).await;
    let mut pipeline = Vec::new();
    for _ in 0..40 {
        pgwire::frontend::write::query(&mut pipeline, b"select 1").expect("it fits");
    }
    let started = Instant::now();
    client.send(&pipeline).await.expect("it is read");
    let mut served = 0;
    for _ in 0..8 {
        served += u64::from(!is_refused(&client.until_ready().await.expect("an answer for each")));
    }
    let most = most_in(started, 1, 3);
    assert!(served <= most, "{served} of one pipeline were served, where {most} may be");
    // The rest need not wait for as long as that.
    plans::add(stack, "sent-ahead", rate(0, 0)).await;
    for _ in 8..40 {
        client.until_ready().await.expect("an answer for each");
    }
}

async fn over_http(stack: &Stack, tenant: &Tenant) -> Response {
    let url = format!("{}/sql", stack.descriptor().gateway.http);
    let request = reqwest::Client::new().post(url).bearer_auth(&tenant.api_key);
    request.body(r#"{"query":"select 1"}"#).send().await.expect("an answer")
}

fn number(response: &Response, header: &str) -> u64 {
    let value = response.headers().get(header).unwrap_or_else(|| panic!("no {header}: {response:?}"));
    value.to_str().expect("text").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_refused_at_once_and_told_what_is_left() {
    let (_turn, stack) = alone().await;
    let limited = tenant(stack, "over-http", rate(1, 3)).await;
    let first = over_http(stack, &limited).await;
    assert_eq!(first.status(), 200);
    assert_eq!(number(&first, "ratelimit-limit"), 1);
    assert!(number(&first, "ratelimit-remaining") <= 3);
    assert_eq!(first.headers()["ratelimit-policy"], "1;w=1;burst=3");
    let refused = eventually("it is refused", async || {
        let answer = over_http(stack, &limited).await;
        (answer.status() == 429).then_some(answer)
    })
    .await;
    assert!((1..=3).contains(&number(&refused, "retry-after")));
    assert!(number(&refused, "ratelimit-reset") >= 1);
    let body: Value = refused.json().await.expect("a body that drivers read");
    assert_eq!((body["code"].as_str(), body["hint"].is_string()), (Some("53400"), true), "{body:#}");
    let unlimited = tenant(stack, "without-a-rate", limits(5, 0, 100)).await;
    let answer = over_http(stack, &unlimited).await;
    assert!(!answer.headers().contains_key("ratelimit-limit"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_in_the_allow_list_hears_nothing_of_the_rate() {
    let (_turn, stack) = alone().await;
    let listed = tenant(stack, "listed-and-limited", rate(100, 200)).await;
    assert!(over_http(stack, &listed).await.headers().contains_key("ratelimit-limit"));
    let ranges = json!({ "ranges": ["198.51.100.0/24"] });
    stack.must(Method::PUT, &path(&["tenants", &listed.id, "allow-list"]), Some(&ranges)).await;
    let refused = eventually("it is shut out", async || {
        let answer = over_http(stack, &listed).await;
        (answer.status() == 403).then_some(answer)
    })
    .await;
    assert!(!refused.headers().contains_key("ratelimit-limit"), "{refused:?}");
}

//! Many pipelining clients on one connection: every row carries its client's and its request's nonce.

use crate::{STACK, tenant};
use harness::wire::{WireClient, tags};
use harness::{DEADLINE, Stack, Tenant};
use pgwire::frontend::{STATEMENT, write};
use std::sync::Arc;
use std::time::Instant;

/// A small generator of our own, so that a failure can be run again with its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Logs in; a login also needs a connection for a moment, which it may not get in time.
async fn login_in_the_end(tenant: &Tenant) -> WireClient {
    let started = Instant::now();
    loop {
        match WireClient::login(&tenant.config()).await {
            Ok(client) => return client,
            Err(refusal) => assert_eq!(refusal.sqlstate(), "53300", "{refusal:?}"),
        }
        assert!(started.elapsed() < DEADLINE, "no login succeeds");
    }
}

/// What a request of the storm must be answered with, error or not.
struct Expected {
    nonce: String,
    may_have_no_row: bool,
}

/// Writes one request with a nonce, in one of the ways that drivers send them.
fn write_request(out: &mut Vec<u8>, kind: u64, nonce: &str) -> Expected {
    let sql = format!("select '{nonce}'");
    let bound = Some(nonce.as_bytes());
    let mut may_have_no_row = false;
    match kind {
        0 => write::query(out, sql.as_bytes()).expect("it fits"),
        1 => {
            write::parse(out, b"", b"select $1::text", &[]).expect("it fits");
            write::bind_text(out, b"", b"", &[bound]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::sync(out);
        }
        2 => {
            let name = format!("s_{nonce}");
            write::parse(out, name.as_bytes(), b"select $1::text as named", &[]).expect("it fits");
            write::describe(out, STATEMENT, name.as_bytes()).expect("it fits");
            write::sync(out);
            write::bind_text(out, b"", name.as_bytes(), &[bound]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::close(out, STATEMENT, name.as_bytes()).expect("it fits");
            write::sync(out);
        }
        3 => {
            let failing =
                format!("select '{nonce}'::text where 1 / (length('{nonce}') - length('{nonce}')) = 0");
            write::parse(out, b"", failing.as_bytes(), &[]).expect("it fits");
            write::bind_text(out, b"", b"", &[]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::sync(out);
            may_have_no_row = true;
        }
        4 => {
            let transaction = format!("begin; {sql}; commit");
            write::query(out, transaction.as_bytes()).expect("it fits");
        }
        _ => {
            write::query(out, format!("{sql} from pg_sleep(0.001)").as_bytes()).expect("it fits");
        }
    }
    Expected { nonce: nonce.to_owned(), may_have_no_row }
}

fn readies(kind: u64) -> usize {
    if kind == 2 { 2 } else { 1 }
}

/// Sends pipelines of requests and checks that every row carries this client's nonce of this request.
async fn storm_client(tenant: Arc<Tenant>, id: u64, rounds: u64) -> (u64, u64) {
    let mut dice = Dice(id + 1);
    let (mut answered, mut refused) = (0, 0);
    let mut client = login_in_the_end(&tenant).await;
    for round in 0..rounds {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for request in 0..=dice.roll(4) {
            let kind = dice.roll(6);
            expected.push((write_request(&mut out, kind, &format!("{id}-{round}-{request}")), readies(kind)));
        }
        client.send(&out).await.expect("the gateway reads");
        if dice.roll(40) == 0 {
            // Leaves in the middle of everything; whoever comes next must not notice.
            client = login_in_the_end(&tenant).await;
            continue;
        }
        for (expected, readies) in expected {
            let mut messages = Vec::new();
            for _ in 0..readies {
                messages.extend(client.until_ready().await.expect("every request is answered"));
            }
            for row in messages.iter().filter(|message| message.tag == b'D') {
                assert_eq!(row.first_column(), expected.nonce, "a stranger's row: {}", tags(&messages));
                answered += 1;
            }
            let errors = messages.iter().filter(|message| message.tag == b'E').count();
            let rows = messages.iter().filter(|message| message.tag == b'D').count();
            assert!(rows == 1 || errors > 0, "neither row nor error: {}", tags(&messages));
            assert!(rows <= 1, "{} rows for one request", rows);
            refused += u64::from(rows == 0 && !expected.may_have_no_row);
        }
    }
    (answered, refused)
}

async fn storm(stack: &Stack, slug: &str, plan: &str, clients: u64, rounds: u64) -> (u64, u64) {
    let tenant = Arc::new(tenant(stack, slug, plan).await);
    assert!(
        stack.metrics().await.contains("tenantry_gateway_out_of_sync_total"),
        "the metric has another name"
    );
    let before = stack.metric("tenantry_gateway_out_of_sync_total", &[]).await;
    let tasks: Vec<_> =
        (0..clients).map(|id| tokio::spawn(storm_client(Arc::clone(&tenant), id, rounds))).collect();
    let (mut answered, mut refused) = (0, 0);
    for task in tasks {
        let (rows, refusals) = task.await.expect("no client met a stranger's row");
        answered += rows;
        refused += refusals;
    }
    assert_eq!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await, before, "replies out of sync");
    (answered, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pipelining_clients_share_one_connection_and_meet_no_stranger() {
    let stack: &Stack = &STACK;
    let (answered, _refused) = storm(stack, "storm", "single", 200, 12).await;
    assert!(answered > 3_000, "only {answered} rows came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_under_saturation_never_shift_a_reply() {
    let stack: &Stack = &STACK;
    let (answered, refused) = storm(stack, "hasty-storm", "hasty", 100, 12).await;
    assert!(answered > 0 && refused > 0, "{answered} rows, {refused} refusals: the test did not saturate");
}

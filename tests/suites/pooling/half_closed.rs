//! A client that has closed its sending side gets what it has asked for, and no more time than there is for that.

use crate::{STACK, login, run, tenant, value};
use harness::Stack;
use harness::wire::{WireClient, tags};
use pgwire::frontend::write;
use tokio::io::AsyncWriteExt;

/// Says its last word.
async fn last(client: &mut WireClient, bytes: &[u8]) {
    client.send(bytes).await.expect("sent");
    client.stream().shutdown().await.expect("it is open");
}

fn query(sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::query(&mut out, sql.as_bytes()).expect("it fits");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn its_last_requests_are_answered() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "half-closed", "single").await;
    let mut extended = Vec::new();
    write::parse(&mut extended, b"named", b"select pg_sleep(0.05)", &[]).expect("it fits");
    write::bind_text(&mut extended, b"", b"named", &[]).expect("it fits");
    write::execute(&mut extended, b"", 0).expect("it fits");
    write::sync(&mut extended);
    for (what, bytes, expected) in [
        ("one", query("select pg_sleep(0.1)"), "TDCZ"),
        (
            "several at once",
            [query("select 1"), query("select pg_sleep(0.05)"), query("select 3")].concat(),
            "TDCZTDCZTDCZ",
        ),
        ("by the extended protocol", extended, "12DCZ"),
        ("an error", query("select 1 / 0"), "EZ"),
        ("nothing", Vec::new(), ""),
        ("an open transaction", query("begin; select 1"), "CTDCZ"),
    ] {
        let mut client = login(&tenant).await;
        last(&mut client, &bytes).await;
        let answer = client.until_end().await.expect("it ends in order");
        assert_eq!(tags(&answer), expected, "{what}");
    }
    assert_eq!(value(&mut login(&tenant).await, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_wait_for_its_turn() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "half-closed-queue", "single").await;
    let (mut busy, mut client) = (login(&tenant).await, login(&tenant).await);
    run(&mut busy, "begin").await;
    last(&mut client, &query("select 7")).await;
    // It asks only once it has come to the gateway that it waits.
    harness::wait_until("it waits", async || {
        stack.metric("tenantry_pool_waiting_clients", &["tenant=\"half-closed-queue\""]).await >= 1.0
    })
    .await;
    run(&mut busy, "commit").await;
    assert_eq!(tags(&client.until_end().await.expect("it ends in order")), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_cancelled() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "half-closed-long", "single").await;
    let mut client = login(&tenant).await;
    last(&mut client, &query("select pg_sleep(600)")).await;
    let answer = client.until_end().await.expect("it ends in order");
    assert_eq!(answer.last().expect("it is told").sqlstate(), "08P01");
    // The only connection is free again.
    assert_eq!(value(&mut login(&tenant).await, "select 1").await, "1");
}

//! Transactions that last too long, however busy they are.

use super::{assert_others_are_served, error, login, milliseconds, refusals, single};
use harness::wire::WireClient;
use harness::{SharedStack, Stack};
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tenantry::dev::StackOptions;

const TRANSACTION: Duration = Duration::from_millis(1_500);

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let limited = |gateway: &mut config::GatewayConfig| {
            gateway.timeouts.transaction_ms = milliseconds(TRANSACTION);
        };
        Stack::start_with(StackOptions::ephemeral().gateway(limited)).await
    })
});

/// Sends requests until the connection ends, and returns the SQLSTATE that came last.
async fn busy(client: &mut WireClient, sql: &str) -> io::Result<String> {
    loop {
        let mut query = Vec::new();
        pgwire::frontend::write::query(&mut query, sql.as_bytes()).expect("it fits");
        if client.send(&query).await.is_err() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        loop {
            let message = client.message().await?;
            match message.tag {
                b'E' => return Ok(message.sqlstate()),
                b'Z' => break,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_lasts_too_long_is_ended_though_it_is_busy() {
    let tenant = single(&STACK, "busy").await;
    let mut client = login(&tenant).await;
    client.query("begin").await.expect("an answer");
    let began = Instant::now();
    assert_eq!(busy(&mut client, "select pg_sleep(0.01)").await.expect("an error"), "25P04");
    assert!(began.elapsed() + Duration::from_millis(100) >= TRANSACTION, "after {:?}", began.elapsed());
    assert_eq!(refusals(&STACK, &tenant, "transaction_timeout").await, 1.0);
    assert_others_are_served(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_that_waits_in_a_statement_or_outside_of_any() {
    let tenant = single(&STACK, "waiting").await;
    let mut client = login(&tenant).await;
    let sqlstate = busy(&mut client, "begin; select pg_sleep(600)").await.expect("an error");
    assert_eq!(sqlstate, "25P04");
    assert_others_are_served(&tenant).await;
    let mut client = login(&tenant).await;
    client.query("begin").await.expect("an answer");
    let messages = client.until_end().await.expect("the end");
    assert_eq!(error(&messages).text(), "terminating connection due to transaction timeout");
    assert_others_are_served(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_transactions_are_not_a_long_one() {
    let tenant = single(&STACK, "short").await;
    let mut client = login(&tenant).await;
    let began = Instant::now();
    while began.elapsed() < TRANSACTION * 2 {
        assert_eq!(client.value("select 'short' from pg_sleep(0.01)").await, "short");
        client.query("begin; select 1; commit").await.expect("an answer");
    }
}

//! Clients that do nothing.

use super::{
    CLIENT_IDLE, IDLE_IN_TRANSACTION, PINNED_IDLE, STACK, assert_others_are_served, error, login,
    login_for_session, refusals, run, single,
};
use harness::wire::WireClient;
use pgwire::frontend::write;
use std::time::{Duration, Instant};

/// Waits until the client is sent away, and returns SQLSTATE and message.
async fn sent_away(client: &mut WireClient, not_before: Duration) -> (String, String) {
    let began = Instant::now();
    let messages = client.until_end().await.expect("the end");
    // The limit began at the latest when the answer before was on its way.
    assert!(began.elapsed() + Duration::from_millis(100) >= not_before, "after {:?}", began.elapsed());
    (error(&messages).sqlstate(), error(&messages).text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_nothing_is_sent_away() {
    let tenant = single(&STACK, "idle").await;
    let mut client = login(&tenant).await;
    run(&mut client, "select 1").await;
    let (sqlstate, message) = sent_away(&mut client, CLIENT_IDLE).await;
    assert_eq!(sqlstate, "57P05");
    assert_eq!(message, "terminating connection due to idle-session timeout");
    assert_eq!(refusals(&STACK, &tenant, "client_idle").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_is_nothing() {
    let tenant = single(&STACK, "idle-half-way").await;
    let mut client = login(&tenant).await;
    client.send(b"Q\0\0\0\x10sel").await.expect("sent");
    assert_eq!(sent_away(&mut client, CLIENT_IDLE).await.0, "57P05");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_ended_and_its_locks_with_it() {
    let tenant = single(&STACK, "idle-in-transaction").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table locked (a int)").await;
    run(&mut client, "begin; lock locked; insert into locked values (1)").await;
    let (sqlstate, message) = sent_away(&mut client, IDLE_IN_TRANSACTION).await;
    assert_eq!(sqlstate, "25P03");
    assert_eq!(message, "terminating connection due to idle-in-transaction timeout");
    assert_eq!(refusals(&STACK, &tenant, "idle_in_transaction").await, 1.0);
    assert_others_are_served(&tenant).await;
    assert_eq!(login(&tenant).await.value("select count(*) from locked").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_a_pipeline_that_lacks_its_sync() {
    let tenant = single(&STACK, "idle-without-sync").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    write::parse(&mut out, b"", b"select 1", &[]).expect("it fits");
    write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::flush(&mut out);
    client.send(&out).await.expect("sent");
    assert_eq!(sent_away(&mut client, IDLE_IN_TRANSACTION).await.0, "25P03");
    assert_others_are_served(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_client_does_not_keep_its_connection_for_ever() {
    let tenant = single(&STACK, "idle-pinned").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create temp table mine (a int)").await;
    assert_eq!(sent_away(&mut client, PINNED_IDLE).await.0, "57P05");
    assert_eq!(refusals(&STACK, &tenant, "pinned_idle").await, 1.0);
    assert_others_are_served(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_in_session_mode_and_its_connection_serves_the_next() {
    let tenant = single(&STACK, "idle-session").await;
    let mut client = login_for_session(&tenant).await;
    let backend = client.value("select pg_backend_pid()").await;
    run(&mut client, "create temp table mine (a int)").await;
    assert_eq!(sent_away(&mut client, PINNED_IDLE).await.0, "57P05");
    let mut next = login(&tenant).await;
    assert_eq!(next.value("select to_regclass('mine') is null").await, "t");
    assert_eq!(next.value("select pg_backend_pid()").await, backend);
}

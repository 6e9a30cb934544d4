//! Requests that go on for too long.

use super::{QUERY, STACK, assert_others_are_served, error, login, refusals, run, single};
use harness::wire::tags;
use pgwire::frontend::write;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_too_long_is_cancelled_and_its_client_stays() {
    let tenant = single(&STACK, "runs-long").await;
    let mut client = login(&tenant).await;
    let began = Instant::now();
    let answer = client.query("select pg_sleep(600)").await.expect("an answer");
    assert!(began.elapsed() >= QUERY, "after {:?}", began.elapsed());
    assert_eq!(tags(&answer), "TEZ");
    assert_eq!(error(&answer).sqlstate(), "57014");
    assert_eq!(error(&answer).text(), "canceling statement due to query timeout");
    assert_eq!(client.value("select 'still here'").await, "still here");
    assert_eq!(refusals(&STACK, &tenant, "query_timeout").await, 1.0);
    assert_others_are_served(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_transaction_has_failed_and_can_be_rolled_back() {
    let tenant = single(&STACK, "runs-in-transaction").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table kept (a int)").await;
    run(&mut client, "begin; insert into kept values (1)").await;
    let answer = client.query("select pg_sleep(600)").await.expect("an answer");
    assert_eq!(error(&answer).sqlstate(), "57014");
    assert_eq!(answer.last().map(|ready| ready.body.as_slice()), Some(b"E".as_slice()));
    run(&mut client, "rollback").await;
    assert_eq!(client.value("select count(*) from kept").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_behind_it_is_carried_out() {
    let tenant = single(&STACK, "runs-ahead").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    for sql in ["select pg_sleep(600)", "select 'behind'"] {
        write::parse(&mut out, b"", sql.as_bytes(), &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("the gateway reads");
    let answer = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&answer), "12EZ");
    assert_eq!(error(&answer).text(), "canceling statement due to query timeout");
    let behind = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&behind), "12DCZ");
    assert_eq!(behind[2].first_column(), "behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_the_time_for_itself() {
    let tenant = single(&STACK, "runs-often").await;
    let mut client = login(&tenant).await;
    for _ in 0..6 {
        run(&mut client, "select pg_sleep(0.2)").await;
    }
    // A server's own limit is its own, and says so.
    run(&mut client, "set statement_timeout = '50ms'").await;
    let answer = client.query("select pg_sleep(600)").await.expect("an answer");
    assert_eq!(error(&answer).text(), "canceling statement due to statement timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_end_it_is_hung_up_on() {
    let tenant = single(&STACK, "runs-into-nothing").await;
    let mut client = login(&tenant).await;
    // A client that does not read blocks the server where it does not look for cancels.
    let mut out = Vec::new();
    write::query(&mut out, b"select repeat('x', 1000000) from generate_series(1, 1000)").expect("it fits");
    client.send(&out).await.expect("the gateway reads");
    assert_others_are_served(&tenant).await;
    assert!(client.until_ready().await.is_err(), "the connection has ended before the result has");
}

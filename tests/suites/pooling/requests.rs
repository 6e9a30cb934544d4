//! How single requests end: refused, cancelled, broken off, or carried out to the end.

use crate::{STACK, login, run, tenant, value};
use harness::wire::{Message, tags};
use harness::{Stack, eventually, wait_until};
use pgwire::frontend::{STATEMENT, write};
use suites::admin;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_pipeline_is_thrown_away_whole_and_the_client_goes_on() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "thrown", "hasty").await;
    let (mut holder, mut client) = (login(&tenant).await, login(&tenant).await);
    run(&mut holder, "begin").await;
    let mut out = Vec::new();
    for sql in [&b"create table never (a int)"[..], b"select 2"] {
        write::parse(&mut out, b"", sql, &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let refused = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&refused), "EZ");
    assert_eq!(refused[0].sqlstate(), "53300");
    run(&mut holder, "commit").await;
    assert_eq!(value(&mut client, "select to_regclass('never') is null").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_make_the_gateway_send_without_bound() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "amplifier", "single").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    // A large unnamed statement, forgotten by the server and described again, a thousand times over.
    let text = format!("select '{}'", "x".repeat(1024 * 1024));
    write::parse(&mut out, b"", text.as_bytes(), &[]).expect("it fits");
    write::sync(&mut out);
    for _ in 0..200 {
        write::query(&mut out, b"").expect("it fits");
        write::describe(&mut out, STATEMENT, b"").expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "1Z");
    for _ in 0..200 {
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "IZ");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "tTZ");
    }
    let resident = stack.metric("process_resident_memory_bytes", &[]).await;
    assert!(resident < 600e6, "the process has grown to {resident} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_running_query_and_no_other() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "cancelled", "single").await;
    let client = tenant.connect().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { (client.batch_execute("select pg_sleep(60)").await, client) });
    let admin = admin::connect(stack, "eu-1").await;
    let running = "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'";
    wait_until("it runs", async || admin.query_opt(running, &[]).await.is_ok_and(|row| row.is_some())).await;
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
    let (outcome, client) = sleeping.await.expect("no panic");
    let code = outcome.expect_err("cancelled").code().cloned();
    assert_eq!(code, Some(tokio_postgres::error::SqlState::QUERY_CANCELED));
    // A cancel for a client that does nothing hits nobody.
    let mut other = login(&tenant).await;
    for _ in 0..20 {
        cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
        assert_eq!(value(&mut other, "select 1").await, "1");
    }
    client.batch_execute("select 1").await.expect("the cancelled client goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_a_client_that_waits_in_the_queue() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "queued", "single").await;
    let mut holder = login(&tenant).await;
    let client = tenant.connect().await;
    run(&mut holder, "begin").await;
    let cancel = client.cancel_token();
    let waiting = tokio::spawn(async move { client.batch_execute("select 1").await });
    let queue = ["tenant=\"queued\""];
    wait_until("it waits", async || stack.metric("tenantry_pool_waiting_clients", &queue).await == 1.0).await;
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
    let error = waiting.await.expect("no panic").expect_err("cancelled");
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
    wait_until("the queue is empty", async || {
        stack.metric("tenantry_pool_waiting_clients", &queue).await == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_by_the_extended_protocol_gives_its_connection_back() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "copied", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut client, "create table c (a int)").await;
    for _ in 0..3 {
        let mut out = Vec::new();
        write::parse(&mut out, b"", b"copy c from stdin", &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        let announced = eventually("copy-in begins", async || {
            let message = client.message().await.ok()?;
            (message.tag == b'G').then_some(message)
        })
        .await;
        assert_eq!(announced.tag, b'G');
        let mut data = b"d\0\0\0\x061\n".to_vec();
        data.extend_from_slice(b"c\0\0\0\x04");
        write::sync(&mut data);
        client.send(&data).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "CZ");
        assert_eq!(value(&mut other, "select 'free'").await, "free");
    }
    assert_eq!(value(&mut other, "select count(*) from c").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_goodbye_is_carried_out() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "goodbye", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut other, "create table g (a int)").await;
    let mut out = Vec::new();
    write::query(&mut out, b"insert into g select 1 from pg_sleep(0.2)").expect("it fits");
    write::terminate(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let answer: Vec<Message> = client.until_ready().await.expect("the answer comes before the end");
    assert_eq!(tags(&answer), "CZ");
    assert_eq!(value(&mut other, "select count(*) from g").await, "1");
}

//! Requests that get no connection, in every shape in which clients send them, and messages that get none ever.

use crate::{STACK, login, run, tenant, value};
use harness::Stack;
use harness::wire::{WireClient, tags};
use pgwire::frontend::write;

fn query(out: &mut Vec<u8>, sql: &str) {
    write::query(out, sql.as_bytes()).expect("it fits");
}

fn extended(out: &mut Vec<u8>, sql: &str) {
    write::parse(out, b"", sql.as_bytes(), &[]).expect("it fits");
    write::bind_text(out, b"", b"", &[]).expect("it fits");
    write::execute(out, b"", 0).expect("it fits");
}

fn copy_data(out: &mut Vec<u8>) {
    out.extend(b"d\0\0\0\x061\n");
    out.extend(b"c\0\0\0\x04");
}

/// What is sent while no connection can be had, and what is to come back.
fn shapes() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let shape = |what, answers, write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        (what, out, answers)
    };
    vec![
        shape("simple queries back to back", "EZEZEZ", &|out| {
            for _ in 0..3 {
                query(out, "insert into never values (1)");
            }
        }),
        shape("statements before one Sync", "EZ", &|out| {
            extended(out, "insert into never values (1)");
            extended(out, "insert into never values (2)");
            write::sync(out);
        }),
        shape("several Syncs", "EZEZ", &|out| {
            for _ in 0..2 {
                extended(out, "insert into never values (1)");
                write::sync(out);
            }
        }),
        shape("a Flush in the middle", "EZ", &|out| {
            extended(out, "insert into never values (1)");
            write::flush(out);
            extended(out, "insert into never values (2)");
            write::sync(out);
        }),
        shape("COPY with its data", "EZ", &|out| {
            query(out, "copy never from stdin");
            copy_data(out);
        }),
        shape("COPY by the extended protocol with its data", "EZZ", &|out| {
            extended(out, "copy never from stdin");
            write::sync(out);
            copy_data(out);
            write::sync(out);
        }),
        shape("both protocols in turn", "EZEZEZ", &|out| {
            query(out, "insert into never values (1)");
            extended(out, "insert into never values (2)");
            write::sync(out);
            query(out, "insert into never values (3)");
        }),
    ]
}

async fn answers(client: &mut WireClient, count: usize) -> String {
    let mut answers = String::new();
    while answers.matches('Z').count() < count {
        answers += &tags(&client.until_ready().await.expect("every request is answered"));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_refused_pipeline_is_carried_out_and_the_next_request_is() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "shapes", "hasty").await;
    let (mut holder, mut client) = (login(&tenant).await, login(&tenant).await);
    run(&mut holder, "create table never (a int)").await;
    for (what, bytes, expected) in shapes() {
        run(&mut holder, "begin").await;
        client.send(&bytes).await.expect("the gateway reads");
        let count = expected.matches('Z').count();
        assert_eq!(answers(&mut client, count).await, expected, "{what}");
        run(&mut holder, "commit").await;
        assert_eq!(value(&mut client, &format!("select '{what}'")).await, what);
        assert_eq!(value(&mut holder, "select count(*) from never").await, "0", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_brings_the_refusal_and_the_sync_its_end() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "flushed", "hasty").await;
    let (mut holder, mut client) = (login(&tenant).await, login(&tenant).await);
    run(&mut holder, "begin").await;
    let mut out = Vec::new();
    extended(&mut out, "select 1");
    write::flush(&mut out);
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(client.message().await.expect("a refusal").sqlstate(), "53300");
    out.clear();
    extended(&mut out, "select 2");
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("its end")), "Z");
    run(&mut holder, "commit").await;
    assert_eq!(value(&mut client, "select 3").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_call_is_refused_and_fails_its_transaction_only() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "calls", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    let function = value(&mut client, "select 'pg_backend_pid()'::regprocedure::oid").await;
    let mut call = Vec::new();
    write::function_call(&mut call, function.parse().expect("an object id"));
    client.send(&call).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    assert_eq!((tags(&answer).as_str(), answer[0].sqlstate().as_str()), ("EZ", "0A000"));
    assert_eq!(answer[1].body, b"I");
    run(&mut client, "create table kept (a int)").await;
    run(&mut client, "begin; insert into kept values (1)").await;
    // Between two requests of one pipeline.
    let mut pipeline = Vec::new();
    query(&mut pipeline, "select 'before'");
    pipeline.extend(&call);
    query(&mut pipeline, "select 'after'");
    client.send(&pipeline).await.expect("sent");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "TDCZ");
    let refused = client.until_ready().await.expect("an answer");
    assert_eq!((refused[0].sqlstate().as_str(), refused[1].body.as_slice()), ("0A000", b"E".as_slice()));
    assert_eq!(client.until_ready().await.expect("an answer")[0].sqlstate(), "25P02");
    run(&mut client, "rollback").await;
    assert_eq!(value(&mut other, "select count(*) from kept").await, "0");
}

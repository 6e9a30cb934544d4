//! Prepared statements follow their clients from connection to connection.

use crate::{STACK, login, run, tenant, value};
use harness::Stack;
use harness::wire::tags;
use pgwire::frontend::{STATEMENT, write};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_behind_a_discard_is_judged_by_what_is_left() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "discards", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    for _ in 0..2 {
        let mut out = Vec::new();
        write::query(&mut out, b"discard all").expect("it fits");
        write::parse(&mut out, b"s", b"select 'kept'", &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"s", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "CZ");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12DCZ");
        for client in [&mut client, &mut other] {
            let mut out = Vec::new();
            write::parse(&mut out, b"t", b"select 'kept'", &[]).expect("it fits");
            write::bind_text(&mut out, b"", b"t", &[]).expect("it fits");
            write::execute(&mut out, b"", 0).expect("it fits");
            write::close(&mut out, STATEMENT, b"t").expect("it fits");
            write::sync(&mut out);
            client.send(&out).await.expect("the gateway reads");
            assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12DC3Z");
        }
    }
    // In one batch, with nothing to make the server answer but what the gateway sends.
    let mut out = Vec::new();
    for text in [&b"deallocate all"[..], b"select 'after'"] {
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12C12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_follow_the_client_and_are_told_apart() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "prepared", "pair").await;
    let (mut first, mut second) = (login(&tenant).await, login(&tenant).await);
    for (client, text) in
        [(&mut first, &b"select 'first ' || $1"[..]), (&mut second, b"select 'second ' || $1")]
    {
        let mut out = Vec::new();
        write::parse(&mut out, b"s", text, &[]).expect("it fits");
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "11Z");
    }
    for _ in 0..4 {
        for (client, word) in [(&mut first, "first x"), (&mut second, "second x")] {
            for name in [&b"s"[..], b""] {
                // Alone in its round trip: the statement may be missing where it lands.
                let mut out = Vec::new();
                write::describe(&mut out, STATEMENT, name).expect("it fits");
                write::bind_text(&mut out, b"", name, &[Some(b"x")]).expect("it fits");
                write::execute(&mut out, b"", 0).expect("it fits");
                write::sync(&mut out);
                client.send(&out).await.expect("the gateway reads");
                let messages = client.until_ready().await.expect("an answer");
                assert_eq!(tags(&messages), "tT2DCZ");
                assert_eq!(messages[3].first_column(), word);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_prepared_twice_is_the_servers_error_and_ends_the_transaction() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "twice", "single").await;
    let mut client = login(&tenant).await;
    run(&mut client, "begin").await;
    let mut out = Vec::new();
    for text in [&b"select 1"[..], b"select 2"] {
        write::parse(&mut out, b"twice", text, &[]).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let messages = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&messages), "1EZ");
    assert_eq!(messages[1].sqlstate(), "42P05");
    assert_eq!(messages[2].body, b"E", "the transaction has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_unnamed_statement_does_not_take_the_next_one_along() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "superseded", "single").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    for text in [&b"no sql"[..], b"select 'second'"] {
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "EZ");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "1Z");
    out.clear();
    write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let messages = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&messages), "2DCZ");
    assert_eq!(messages[1].first_column(), "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_others_cannot_be_reached_by_name() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "unreachable", "single").await;
    let (mut owner, mut thief) = (login(&tenant).await, login(&tenant).await);
    let mut out = Vec::new();
    write::parse(&mut out, b"mine", b"select 'mine'", &[]).expect("it fits");
    write::parse(&mut out, b"", b"select 'unnamed'", &[]).expect("it fits");
    write::sync(&mut out);
    owner.send(&out).await.expect("the gateway reads");
    owner.until_ready().await.expect("an answer");
    let names =
        value(&mut owner, "select coalesce(string_agg(name, ','), '') from pg_prepared_statements").await;
    assert!(names.starts_with("__tenantry_"), "{names}");
    for name in [names.as_bytes(), b"mine", b""] {
        let mut out = Vec::new();
        write::bind_text(&mut out, b"", name, &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        thief.send(&out).await.expect("the gateway reads");
        let messages = thief.until_ready().await.expect("an answer");
        assert_eq!(messages[0].sqlstate(), "26000", "{}", String::from_utf8_lossy(name));
    }
}

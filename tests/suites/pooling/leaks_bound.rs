//! Statements of the extended protocol, message by message: what is bound and not executed undoes nothing, and
//! what is executed is known.

use crate::leaks_observed::{self as observed, Observer};
use crate::{STACK, login, run, tenant};
use harness::Stack;
use harness::wire::WireClient;
use pgwire::frontend::write;

/// One message, or a few that belong together.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Parse of the unnamed statement, and a Bind of it to a portal.
    Bind(&'static str, &'static str),
    Execute(&'static str),
    Sync,
}
use Step::{Bind, Execute, Sync};

async fn send(client: &mut WireClient, messages: &[Step]) {
    let mut out = Vec::new();
    let mut syncs = 0;
    for message in messages {
        match message {
            Bind(portal, sql) => {
                write::parse(&mut out, b"", sql.as_bytes(), &[]).expect("it fits");
                write::bind_text(&mut out, portal.as_bytes(), b"", &[]).expect("it fits");
            }
            Execute(portal) => write::execute(&mut out, portal.as_bytes(), 0).expect("it fits"),
            Sync => {
                write::sync(&mut out);
                syncs += 1;
            }
        }
    }
    client.send(&out).await.expect("sent");
    for _ in 0..syncs {
        client.until_ready().await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_bound_and_not_executed_ends_no_pin() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-bound", "hasty").await;
    let mut observer = Observer::new(&tenant).await;
    for (pin, unpin) in [
        ("create temp table t (a int)", "discard all"),
        ("create temp table t (a int)", "discard temp"),
        ("listen a", "unlisten *"),
        ("listen a", "discard all"),
        ("select set_config('role', 'none', false), 1", "reset role"),
        ("begin; declare c cursor with hold for select 1; commit", "close all"),
        ("select pg_advisory_lock(1)", "select pg_advisory_unlock_all()"),
        ("prepare p as select 1", "deallocate all"),
        ("set work_mem = E'5MB'", "reset all"),
    ] {
        let mut client = login(&tenant).await;
        run(&mut client, pin).await;
        assert!(observer.finds_no_connection().await, "{pin} pins");
        for messages in [
            &[Bind("", unpin), Sync][..],
            &[Bind("p", unpin), Bind("", "select 1"), Execute(""), Sync],
            &[Bind("", "select 1"), Bind("p", unpin), Execute(""), Sync],
        ] {
            send(&mut client, messages).await;
            assert!(observer.finds_no_connection().await, "{pin}: {messages:?}");
        }
        send(&mut client, &[Bind("", unpin), Execute(""), Sync]).await;
        observer.finds_a_fresh_session(&format!("{pin}; {unpin}")).await;
        send(&mut client, &[Bind("", "select 1"), Execute(""), Sync]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_by_the_extended_protocol_follow_and_pin_nobody() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-bound-sets", "hasty").await;
    let mut observer = Observer::new(&tenant).await;
    let mut client = login(&tenant).await;
    for (sql, ask, expected) in [
        ("set statement_timeout = '5s'", "show statement_timeout", "5s"),
        ("select set_config('lock_timeout', '4s', false)", "show lock_timeout", "4s"),
        ("reset lock_timeout", "show lock_timeout", "0"),
        ("reset all", "show statement_timeout", "0"),
    ] {
        for portal in ["", "p"] {
            send(&mut client, &[Bind(portal, sql), Execute(portal), Sync]).await;
            observer.finds_a_fresh_session(sql).await;
            assert_eq!(client.value(ask).await, expected, "after {sql}");
        }
    }
    observed::asserts_nobody_is_pinned(stack, "leaks-bound-sets").await;
    // Two at a time are not told apart: the connection is kept, and nothing is left of them.
    let two = [
        Bind("a", "set statement_timeout = '5s'"),
        Bind("b", "set lock_timeout = '5s'"),
        Execute("a"),
        Execute("b"),
        Sync,
    ];
    send(&mut client, &two).await;
    assert!(observer.finds_no_connection().await);
    send(&mut client, &[Bind("", "reset all"), Execute(""), Sync]).await;
    observer.finds_a_fresh_session("two at a time").await;
}

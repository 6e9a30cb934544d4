//! What prepared statements may cost the gateway and the servers.

use crate::batch::{Batch, first, sqlstate};
use crate::{login, tenant};
use harness::wire::tags;
use harness::{SharedStack, Stack};
use std::sync::LazyLock;
use tenantry::dev::StackOptions;

const POOL_BYTES: usize = 64 * 1024;
const SERVER_STATEMENTS: usize = 3;

static SMALL: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(|| {
        Stack::start_with(StackOptions::ephemeral().gateway(|config| {
            config.prepared.statements_per_server_max = SERVER_STATEMENTS;
            config.prepared.bytes_per_pool_max = POOL_BYTES;
        }))
    })
});

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_statements_costs_no_more_than_the_bound() {
    let stack: &Stack = &SMALL;
    let tenant = tenant(stack, "flood", 2).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    Batch::default().parse("kept", "select 'kept'").sync().expect(&mut other, "1Z").await;
    for round in 0..300 {
        let name = format!("s{round}");
        let named = format!("select '{round} named {}'", "x".repeat(900));
        let batch = Batch::default().parse(&name, &named).bind(&name, &[]).execute().close(&name).sync();
        assert!(first(&batch.expect(&mut client, "12DC3Z").await).starts_with(&format!("{round} named")));
        let unnamed = format!("select '{round} unnamed {}'", "x".repeat(900));
        for _ in 0..2 {
            let answer = Batch::default().unnamed(&unnamed, &[]).expect(&mut client, "12TDCZ").await;
            assert!(first(&answer).starts_with(&format!("{round} unnamed")));
        }
    }
    let answer = Batch::default().bind("kept", &[]).execute().sync().expect(&mut other, "2DCZ").await;
    assert_eq!(first(&answer), "kept");
    let bytes = stack.metric("tenantry_prepared_bytes", &[]).await;
    assert!(bytes > 0.0 && bytes <= 2.0 * 64.0 * 1024.0, "{bytes} bytes of two pools");
    assert!(stack.metric("tenantry_prepared_evictions_total", &["from=\"pool\""]).await > 100.0);
    assert!(stack.metric("tenantry_prepared_evictions_total", &["from=\"server\""]).await > 100.0);
    let on_server: usize =
        client.value("select count(*) from pg_prepared_statements").await.parse().expect("a number");
    assert!(on_server <= SERVER_STATEMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_holds_too_much_is_refused_and_goes_on() {
    let stack: &Stack = &SMALL;
    let tenant = tenant(stack, "hoarder", 1).await;
    let mut client = login(&tenant).await;
    let mut refused = None;
    for round in 0..100 {
        let sql = format!("select '{round} {}'", "x".repeat(900));
        Batch::default().parse(&format!("s{round}"), &sql).sync().send(&mut client).await;
        match client.message().await {
            Ok(message) if message.tag == b'1' => {
                client.until_ready().await.expect("an answer");
            }
            Ok(message) => {
                refused = Some((round, message.sqlstate()));
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (round, sqlstate) = refused.expect("the bound is less than what was sent");
    assert!((40..70).contains(&round), "{round} statements of a kilobyte in {POOL_BYTES} bytes");
    assert_eq!(sqlstate, "54000");
    // What it held is free again when it has gone.
    drop(client);
    let mut next = login(&tenant).await;
    harness::eventually("there is room again", async || {
        (stack.metric("tenantry_prepared_bytes", &[]).await < 200_000.0).then_some(())
    })
    .await;
    let sql = format!("select 'again {}'", "x".repeat(900));
    let answer =
        Batch::default().parse("s", &sql).bind("s", &[]).execute().sync().expect(&mut next, "12DCZ").await;
    assert!(first(&answer).starts_with("again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_statements_than_a_server_keeps_are_replayed_in_any_pipeline() {
    let stack: &Stack = &SMALL;
    let tenant = tenant(stack, "crowded", 1).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    let name = |number: usize| format!("s{number}");
    for client in [&mut client, &mut other] {
        let mut batch = Batch::default();
        for number in 0..12 {
            batch = batch.parse(&name(number), &format!("select {number} + $1::int"));
        }
        batch.sync().expect(client, &format!("{}Z", "1".repeat(12))).await;
    }
    for round in 0..6 {
        for client in [&mut client, &mut other] {
            let mut batch = Batch::default();
            for step in 0..60 {
                let number = (step * 7 + round) % 12;
                batch = batch.bind(&name(number), &["100"]).execute();
                if step % 3 == 0 {
                    batch = batch.describe(&name((number + 5) % 12));
                }
                // Some of them fail in the middle of their request.
                if step % 20 == 11 {
                    batch = batch.bind(&name((number + 1) % 12), &["x"]).execute().sync();
                }
            }
            batch.sync().send(client).await;
            let mut rows = Vec::new();
            for part in 0..4 {
                let answer = client.until_ready().await.expect("an answer");
                assert_eq!(answer.iter().any(|message| message.tag == b'E'), part < 3, "{}", tags(&answer));
                if part < 3 {
                    assert_eq!(self::sqlstate(&answer), "22P02");
                }
                rows.extend(answer.iter().filter(|m| m.tag == b'D').map(|m| m.first_column()));
            }
            let expected: Vec<_> = (0..60).map(|step| (100 + (step * 7 + round) % 12).to_string()).collect();
            assert_eq!(rows, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replies_of_ours_than_may_be_due_do_not_wait_for_one_that_the_server_keeps() {
    const CLOSES: usize = 20_000;
    let stack: &Stack = &SMALL;
    let tenant = tenant(stack, "unflushed", 1).await;
    let mut client = login(&tenant).await;
    let mut batch = Batch::default().parse("", "select 'seen first'");
    for _ in 0..CLOSES {
        batch = batch.close("__tenantry_");
    }
    batch.sync().expect(&mut client, &format!("1{}Z", "3".repeat(CLOSES))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_cannot_be_replayed_in_a_failed_transaction_is_refused_as_any_other() {
    let stack: &Stack = &SMALL;
    let tenant = tenant(stack, "failed", 1).await;
    let mut client = login(&tenant).await;
    for number in 0..6 {
        Batch::default()
            .parse(&format!("s{number}"), &format!("select {number}"))
            .sync()
            .expect(&mut client, "1Z")
            .await;
    }
    Batch::default().parse("undo", "rollback").sync().expect(&mut client, "1Z").await;
    for number in 0..6 {
        Batch::default().bind(&format!("s{number}"), &[]).execute().sync().expect(&mut client, "2DCZ").await;
    }
    client.query("begin").await.expect("an answer");
    client.query("select 1 / 0").await.expect("an answer");
    let answer = Batch::default().bind("s0", &[]).execute().sync().expect(&mut client, "EZ").await;
    assert_eq!(sqlstate(&answer), "25P02");
    let answer = Batch::default().describe("s1").sync().expect(&mut client, "EZ").await;
    assert_eq!(sqlstate(&answer), "25P02");
    Batch::default().bind("undo", &[]).execute().sync().expect(&mut client, "2CZ").await;
    for number in 0..6 {
        Batch::default().bind(&format!("s{number}"), &[]).execute().sync().expect(&mut client, "2DCZ").await;
    }
}

//! Statements given up, prepared and executed in SQL.

use crate::batch::{Batch, first, sqlstate};
use crate::{STACK, login, run, tenant};
use harness::Stack;
use harness::wire::{WireClient, tags};

/// Is a statement of this name there?
async fn has(client: &mut WireClient, name: &str) -> bool {
    let answer = Batch::default().bind(name, &[]).execute().sync().ask(client).await;
    match tags(&answer).as_str() {
        "2DCZ" => true,
        "EZ" => {
            assert_eq!(sqlstate(&answer), "26000");
            false
        }
        other => panic!("unexpected: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_deallocated_in_sql_is_given_up_by_this_client_only() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "gives-up", 1).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    let server = client.value("select pg_backend_pid()").await;
    for text in ["deallocate \"_pg3_0\"", "DEALLOCATE PREPARE _PG3_0;", "extended", "bound twice"] {
        for client in [&mut client, &mut other] {
            Batch::default().parse("_pg3_0", "select 'kept'").sync().expect(client, "1Z").await;
        }
        if text.starts_with(['d', 'D']) {
            let answer = client.query(text).await.expect("an answer");
            assert_eq!((tags(&answer).as_str(), &answer[0].body[..]), ("CZ", &b"DEALLOCATE\0"[..]));
        } else {
            let batch = Batch::default().parse("", "deallocate \"_pg3_0\"").bind("", &[]).describe_portal();
            let answer = batch.execute().sync().expect(&mut client, "12nCZ").await;
            assert_eq!(answer[3].body, b"DEALLOCATE\0");
        }
        assert!(!has(&mut client, "_pg3_0").await, "{text}");
        assert!(has(&mut other, "_pg3_0").await, "{text}");
        Batch::default().close("_pg3_0").sync().expect(&mut other, "3Z").await;
    }
    assert_eq!(client.value("select pg_backend_pid()").await, server, "the connection is as good as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_deallocate_within_pipelines_and_transactions() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "pipelined", 1).await;
    let mut client = login(&tenant).await;
    for round in 0..3 {
        let name = format!("p{round}");
        let deallocate = format!("deallocate {name}");
        let mut batch = Batch::default().parse(&name, "select 'x'").bind(&name, &[]).execute();
        batch = batch.parse("", &deallocate).bind("", &[]).execute();
        batch = batch.parse(&name, "select 'y'").bind(&name, &[]).execute();
        let answer = batch.sync().expect(&mut client, "12DC12C12DCZ").await;
        assert_eq!(answer[9].first_column(), "y");
        run(&mut client, "begin").await;
        let answer = client.query(&deallocate).await.expect("an answer");
        assert_eq!((tags(&answer).as_str(), &answer[1].body[..]), ("CZ", &b"T"[..]));
        run(&mut client, "rollback").await;
        assert!(!has(&mut client, &name).await, "names know no transactions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_carried_out_gives_nothing_up() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "holds-on", 1).await;
    let mut client = login(&tenant).await;
    Batch::default().parse("s", "select 'kept'").sync().expect(&mut client, "1Z").await;
    run(&mut client, "begin").await;
    client.query("select 1 / 0").await.expect("an answer");
    let answer = client.query("deallocate s").await.expect("an answer");
    assert_eq!((tags(&answer).as_str(), sqlstate(&answer).as_str()), ("EZ", "25P02"));
    let answer = Batch::default().parse("", "deallocate s").bind("", &[]).execute().sync();
    assert_eq!(sqlstate(&answer.expect(&mut client, "EZ").await), "25P02");
    run(&mut client, "rollback").await;
    assert!(has(&mut client, "s").await);
    let batch = Batch::default().parse("", "no sql").parse("", "deallocate s").bind("", &[]).execute();
    batch.sync().expect(&mut client, "EZ").await;
    let batch = Batch::default().parse("", "no sql").close("s");
    batch.sync().expect(&mut client, "EZ").await;
    assert!(has(&mut client, "s").await);
    let answer = client.query("deallocate unknown").await.expect("an answer");
    assert_eq!(sqlstate(&answer), "26000");
    assert_eq!(answer[0].text(), "prepared statement \"unknown\" does not exist");
    assert!(has(&mut client, "s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_plans_discards_no_statement_and_discarding_all_does() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "discarding", 1).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    for (discard, tag, stays) in [
        ("discard plans", "DISCARD PLANS", true),
        ("deallocate all", "DEALLOCATE ALL", false),
        ("discard all", "DISCARD ALL", false),
    ] {
        for client in [&mut client, &mut other] {
            Batch::default().parse("s", "select 'kept'").sync().expect(client, "1Z").await;
            for _ in 0..3 {
                Batch::default().unnamed("select 'unnamed'", &[]).expect(client, "12TDCZ").await;
            }
        }
        let answer = client.query(discard).await.expect("an answer");
        assert_eq!(answer[0].body.strip_suffix(b"\0"), Some(tag.as_bytes()));
        assert_eq!(has(&mut client, "s").await, stays, "{discard}");
        assert!(has(&mut other, "s").await, "{discard} is this client's alone");
        for client in [&mut client, &mut other] {
            let answer = Batch::default().unnamed("select 'unnamed'", &[]).expect(client, "12TDCZ").await;
            assert_eq!(first(&answer), "unnamed");
            Batch::default().close("s").sync().expect(client, "3Z").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_prepared_in_sql_stay_with_their_client() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "prepared-in-sql", 2).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut client, "prepare own as select 'own'").await;
    for _ in 0..3 {
        assert_eq!(client.value("execute own").await, "own");
        assert!(has(&mut client, "own").await);
        assert!(!has(&mut other, "own").await);
    }
    run(&mut client, "deallocate own").await;
    assert!(!has(&mut client, "own").await);
    // By the protocol's name SQL does not know a statement, and says so.
    Batch::default().parse("s", "select 'kept'").sync().expect(&mut other, "1Z").await;
    let answer = other.query("execute s").await.expect("an answer");
    assert_eq!(sqlstate(&answer), "26000");
    assert_eq!(answer[0].text(), "prepared statement \"s\" does not exist");
    assert!(has(&mut other, "s").await);
}

//! A text that comes again as an unnamed statement is prepared once, and nobody can tell.

use crate::batch::{Batch, columns, first, sqlstate};
use crate::{STACK, login, login_as, run, tenant};
use harness::Stack;
use harness::wire::{WireClient, tags};

/// How many statements with such a text the server connection has prepared under names of ours.
async fn kept(client: &mut WireClient, like: &str) -> String {
    let sql = format!(
        "select count(*) from pg_prepared_statements \
         where starts_with(name, '__tenantry_') and statement like '{like}'"
    );
    client.value(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_comes_again_is_prepared_once_and_one_that_does_not_is_not_kept() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "again", 1).await;
    let (mut first_client, mut second_client) = (login(&tenant).await, login(&tenant).await);
    for round in 0..6 {
        for client in [&mut first_client, &mut second_client] {
            let value = round.to_string();
            let answer = Batch::default()
                .unnamed("select $1::int + 1 as again", &[&value])
                .expect(client, "12TDCZ")
                .await;
            assert_eq!(first(&answer), (round + 1).to_string());
            let once = format!("select {round} as never_again");
            Batch::default().unnamed(&once, &[]).expect(client, "12TDCZ").await;
        }
    }
    assert_eq!(kept(&mut first_client, "%as again").await, "1");
    // Two clients sent each of these, so that they came twice.
    assert_eq!(kept(&mut first_client, "%as never_again").await, "6");
    for round in 100..120 {
        Batch::default()
            .unnamed(&format!("select {round} as once"), &[])
            .expect(&mut first_client, "12TDCZ")
            .await;
    }
    assert_eq!(kept(&mut first_client, "%as once").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parse_alone_is_answered_at_once_and_its_statement_follows_the_client() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "alone", 2).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    for _ in 0..3 {
        Batch::default().unnamed("select $1 || '!'", &["a"]).expect(&mut client, "12TDCZ").await;
    }
    Batch::default().parse("", "select $1 || '!'").flush().send(&mut client).await;
    assert_eq!(client.message().await.expect("an answer").tag, b'1');
    Batch::default().sync().expect(&mut client, "Z").await;
    // Whichever connection the client had, it has to take the other one.
    run(&mut other, "begin").await;
    for _ in 0..2 {
        let answer = Batch::default()
            .describe("")
            .bind("", &["b"])
            .execute()
            .sync()
            .expect(&mut client, "tT2DCZ")
            .await;
        assert_eq!(first(&answer), "b!");
        run(&mut other, "rollback").await;
        run(&mut client, "select 1").await;
        Batch::default().parse("", "select $1 || '!'").sync().expect(&mut client, "1Z").await;
        run(&mut other, "begin").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_told_where_the_server_would_tell_it() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "errors", 1).await;
    let mut client = login(&tenant).await;
    for _ in 0..4 {
        let answer = Batch::default().unnamed("selec 1", &[]).expect(&mut client, "EZ").await;
        assert_eq!(sqlstate(&answer), "42601");
        let answer = Batch::default().unnamed("select 1 / $1::int", &["0"]).expect(&mut client, "1EZ").await;
        assert_eq!(sqlstate(&answer), "22012");
    }
    for name in ["", "named"] {
        // A failed transaction takes no Parse but of what ends it.
        for sql in ["begin", "rollback", "select 1"] {
            Batch::default().parse("", sql).sync().expect(&mut client, "1Z").await;
            Batch::default().parse("", sql).sync().expect(&mut client, "1Z").await;
        }
        run(&mut client, "begin").await;
        assert_eq!(sqlstate(&client.query("select 1 / 0").await.expect("an answer")), "22012");
        let answer = Batch::default().parse(name, "select 1").bind(name, &[]).execute().sync();
        let answer = answer.expect(&mut client, "EZ").await;
        assert_eq!((sqlstate(&answer), &answer[1].body[..]), ("25P02".to_owned(), &b"E"[..]));
        Batch::default()
            .parse("", "rollback")
            .bind("", &[])
            .execute()
            .sync()
            .expect(&mut client, "12CZ")
            .await;
        // What was not prepared is not there.
        let answer = Batch::default().bind("named", &[]).execute().sync().expect(&mut client, "EZ").await;
        assert_eq!(sqlstate(&answer), "26000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_ahead_of_a_failure_fails_where_it_would() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "ahead", 1).await;
    let mut client = login(&tenant).await;
    for name in ["", "s"] {
        for _ in 0..3 {
            Batch::default().unnamed("select 'ahead'", &[]).expect(&mut client, "12TDCZ").await;
        }
        let batch =
            Batch::default().parse("", "begin").bind("", &[]).execute().sync().parse("", "no sql").sync();
        let batch = batch.parse(name, "select 'ahead'").bind(name, &[]).execute().sync();
        batch.parse("", "rollback").bind("", &[]).execute().sync().send(&mut client).await;
        for expected in ["12CZ", "EZ", "EZ", "12CZ"] {
            assert_eq!(tags(&client.until_ready().await.expect("an answer")), expected);
        }
        // And where nothing fails, all is answered in order.
        let mut batch = Batch::default();
        for _ in 0..50 {
            batch = batch.unnamed("select 'ahead'", &[]).unnamed("select 'other'", &[]);
        }
        batch.send(&mut client).await;
        for _ in 0..50 {
            for word in ["ahead", "other"] {
                let answer = client.until_ready().await.expect("an answer");
                assert_eq!((tags(&answer).as_str(), first(&answer).as_str()), ("12TDCZ", word));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_of_many_statements_is_answered_in_order() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "batch", 1).await;
    let mut client = login(&tenant).await;
    for _ in 0..3 {
        let mut batch = Batch::default();
        for number in 0..40 {
            let value = number.to_string();
            batch =
                batch.parse("", &format!("select $1::int as c{}", number % 5)).bind("", &[&value]).execute();
        }
        let answer = batch.sync().ask(&mut client).await;
        assert_eq!(tags(&answer), format!("{}Z", "12DC".repeat(40)));
        let rows: Vec<_> = answer.iter().filter(|m| m.tag == b'D').map(|m| m.first_column()).collect();
        assert_eq!(rows, (0..40).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_begin_and_end_by_repeated_texts() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "control", 1).await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table control (n int)").await;
    for round in 0..6 {
        let end = if round % 2 == 0 { "commit" } else { "rollback" };
        for (sql, status) in [("begin", b"T"), ("insert into control values (1)", b"T"), (end, b"I")] {
            let answer = Batch::default().parse("", sql).bind("", &[]).execute().sync();
            let answer = answer.expect(&mut client, "12CZ").await;
            assert_eq!(answer[3].body, status, "{sql}");
        }
    }
    assert_eq!(client.value("select count(*) from control").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_types_are_part_of_the_statement() {
    const INT4: u32 = 23;
    const TEXT: u32 = 25;
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "types", 1).await;
    let mut client = login(&tenant).await;
    for _ in 0..4 {
        for (oid, name) in [(INT4, "integer"), (TEXT, "text")] {
            let batch = Batch::default().parse_typed("", "select pg_typeof($1)", &[oid]);
            let answer = batch.bind("", &["1"]).execute().sync().expect(&mut client, "12DCZ").await;
            assert_eq!(first(&answer), name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_fetched_as_it_is_now() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "fetch", 1).await;
    let mut client = login(&tenant).await;
    for _ in 0..3 {
        for (query, width) in [("select 1, 2", 2), ("select 'x'", 1)] {
            run(&mut client, "begin").await;
            run(&mut client, &format!("declare c cursor for {query}")).await;
            let batch = Batch::default().parse("", "fetch all from c").describe("").bind("", &[]).execute();
            let answer = batch.sync().expect(&mut client, "1tT2DCZ").await;
            assert_eq!(columns(&answer), width);
            run(&mut client, "commit").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_table_hides_the_one_that_others_mean() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "temporary", 2).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut client, "create table hidden as select 'everybody''s' as word").await;
    let text = "select * from hidden";
    for _ in 0..3 {
        let answer = Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
        assert_eq!(first(&answer), "everybody's");
    }
    // In the batch that makes the table, and behind it.
    let batch = Batch::default().parse("", "create temp table hidden as select 1 as n, 'own' as word");
    let batch = batch.bind("", &[]).execute().parse("", text).bind("", &[]).execute().sync();
    assert_eq!(first(&batch.expect(&mut client, "12C12DCZ").await), "1");
    for _ in 0..3 {
        let answer = Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
        assert_eq!((columns(&answer), first(&answer)), (2, "1".to_owned()));
        let answer = Batch::default().unnamed(text, &[]).expect(&mut other, "12TDCZ").await;
        assert_eq!(first(&answer), "everybody's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_path_decides_what_a_text_means() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "paths", 1).await;
    let mut owner = login(&tenant).await;
    run(&mut owner, "create schema a; create table a.t as select 'in a' as word").await;
    run(&mut owner, "create schema b; create table b.t as select 'in b' as word, 2 as n").await;
    let mut in_a = login_as(&tenant, &[("options", "-c search_path=a")]).await;
    let mut in_b = login_as(&tenant, &[("options", "-c search_path=b")]).await;
    for round in 0..4 {
        for (client, word, width) in [(&mut in_a, "in a", 1), (&mut in_b, "in b", 2)] {
            let answer = Batch::default().unnamed("select * from t", &[]).expect(client, "12TDCZ").await;
            assert_eq!((first(&answer).as_str(), columns(&answer)), (word, width));
            let name = format!("s{round}");
            let batch =
                Batch::default().parse(&name, "select * from t").describe(&name).bind(&name, &[]).execute();
            let answer = batch.sync().expect(client, "1tT2DCZ").await;
            assert_eq!((first(&answer).as_str(), columns(&answer)), (word, width));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_path_of_one_transaction_ends_with_it() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "local-path", 1).await;
    let mut owner = login_as(&tenant, &[("options", "-c search_path=a")]).await;
    run(&mut owner, "create schema a; create table a.t as select 'in a' as word").await;
    run(&mut owner, "create schema b; create table b.t as select 'in b' as word, 2 as n").await;
    let mut client = login_as(&tenant, &[("options", "-c search_path=a")]).await;
    let sets = ["set local search_path = b", "select set_config('search_path', 'b', true)"];
    for round in 0..3 {
        for (index, set) in sets.iter().enumerate() {
            for extended in [false, true] {
                let name = format!("s{round}{index}{extended}");
                let answer =
                    Batch::default().unnamed("select * from t", &[]).expect(&mut client, "12TDCZ").await;
                assert_eq!(first(&answer), "in a");
                run(&mut client, "begin").await;
                if extended {
                    Batch::default().parse("", set).bind("", &[]).execute().sync().ask(&mut client).await;
                } else {
                    run(&mut client, set).await;
                }
                for _ in 0..2 {
                    let answer =
                        Batch::default().unnamed("select * from t", &[]).expect(&mut client, "12TDCZ").await;
                    assert_eq!(first(&answer), "in b");
                }
                let batch =
                    Batch::default().parse(&name, "select * from t").bind(&name, &[]).execute().sync();
                assert_eq!(first(&batch.expect(&mut client, "12DCZ").await), "in b");
                run(&mut client, "commit").await;
                // Everybody else is where they were.
                let batch = Batch::default()
                    .parse(&name, "select * from t")
                    .describe(&name)
                    .bind(&name, &[])
                    .execute();
                let answer = batch.close(&name).sync().expect(&mut owner, "1tT2DC3Z").await;
                assert_eq!((first(&answer).as_str(), columns(&answer)), ("in a", 1));
                run(&mut client, "select 1").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn constants_are_read_by_this_clients_settings_and_at_this_moment() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "constants", 1).await;
    let mut here = login_as(&tenant, &[("TimeZone", "UTC")]).await;
    let mut there = login_as(&tenant, &[("TimeZone", "Asia/Tokyo"), ("client_encoding", "LATIN1")]).await;
    let hour = "select extract(hour from timestamptz '2024-01-01' at time zone 'utc')::int";
    // The same bytes are one letter in UTF-8 and two in LATIN1.
    let letters = "select length('é')";
    for round in 0..3 {
        for (client, answers) in [(&mut here, ["0", "1"]), (&mut there, ["15", "2"])] {
            for (text, answer) in [hour, letters].into_iter().zip(answers) {
                let unnamed = Batch::default().unnamed(text, &[]).expect(client, "12TDCZ").await;
                assert_eq!(first(&unnamed), answer, "{text}");
                let name = format!("{answer} {round}");
                let batch = Batch::default().parse(&name, text).bind(&name, &[]).execute().sync();
                assert_eq!(first(&batch.expect(client, "12DCZ").await), answer, "{text}");
            }
        }
    }
    let mut moments = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let answer =
            Batch::default().unnamed("select timestamptz 'now'", &[]).expect(&mut here, "12TDCZ").await;
        moments.insert(first(&answer));
    }
    assert_eq!(moments.len(), 4, "{moments:?}");
}

//! Tables change under prepared statements.

use crate::batch::{Batch, columns, first, sqlstate};
use crate::{BEHIND, STACK, login, run, tenant};
use harness::{Stack, Tenant};
use tokio_postgres::{Config, NoTls};

/// The tenant's database past the gateway, which does not see what is done there.
struct Past(tokio_postgres::Client);

impl Past {
    /// As the role that the tenant's tables belong to.
    async fn the_gateway(stack: &Stack, tenant: &Tenant) -> Self {
        let mut client = login(tenant).await;
        let (database, role) =
            (client.value("select current_database()").await, client.value("select current_user").await);
        let eu = stack.descriptor().clusters.iter().find(|cluster| cluster.name == "eu-1");
        let mut config: Config = eu.expect("a cluster of the stack").admin_dsn.parse().expect("a good DSN");
        let (past, connection) = config.dbname(&database).connect(NoTls).await.expect("the cluster answers");
        // Ends when the client is dropped.
        tokio::spawn(connection);
        past.batch_execute(&format!("set role \"{role}\"")).await.expect("it may be any role");
        Self(past)
    }

    async fn run(&self, sql: &str) {
        self.0.batch_execute(sql).await.expect("it runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unnamed_statement_sees_a_table_as_it_is_now() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "altered", 1).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut client, "create table altered as select 1 as c0").await;
    let text = "select * from altered";
    for _ in 0..3 {
        Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
    }
    for round in 1..=3 {
        // Through the gateway, outside and inside of a transaction.
        run(&mut other, &format!("alter table altered add c{round} int")).await;
        let answer = Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
        assert_eq!(columns(&answer), 2 * round);
        run(&mut client, "begin").await;
        let alter = format!("alter table altered add d{round} int");
        let batch = Batch::default().parse("", &alter).bind("", &[]).execute();
        let batch = batch.parse("", text).describe("").bind("", &[]).execute().sync();
        assert_eq!(columns(&batch.expect(&mut client, "12C1tT2DCZ").await), 2 * round + 1);
        run(&mut client, "commit").await;
        let answer = Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
        assert_eq!(columns(&answer), 2 * round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_saw_is_healed() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "unseen", 1).await;
    let mut client = login(&tenant).await;
    let past = Past::the_gateway(stack, &tenant).await;
    run(&mut client, "create table unseen as select 1 as a").await;
    let text = "select * from unseen where a = $1";
    for _ in 0..3 {
        Batch::default().unnamed(text, &["1"]).expect(&mut client, "12TDCZ").await;
    }
    Batch::default().parse("described", text).sync().expect(&mut client, "1Z").await;
    let before = stack.metric("tenantry_prepared_heals_total", &[]).await;
    let changes = [
        ("alter table unseen add b text", 2, "1"),
        ("alter table unseen alter a type text", 2, "1"),
        ("drop table unseen; create table unseen as select 'x' as a, 1 as b, 2 as c", 3, "x"),
    ];
    for (change, width, value) in changes {
        past.run(change).await;
        let answer = Batch::default().unnamed(text, &[value]).expect(&mut client, "12TDCZ").await;
        assert_eq!((columns(&answer), first(&answer).as_str()), (width, value), "{change}");
        past.run("alter table unseen add z int").await;
        let batch = Batch::default().bind("described", &[value]).describe_portal().execute().sync();
        assert_eq!(columns(&batch.expect(&mut client, "2TDCZ").await), width + 1, "{change}");
        past.run("alter table unseen drop z").await;
        Batch::default().describe("described").sync().expect(&mut client, "tTZ").await;
    }
    assert!(stack.metric("tenantry_prepared_heals_total", &[]).await >= before + 3.0);
    // What is not there at all is an error, once, and the client goes on.
    past.run("drop table unseen").await;
    let answer = Batch::default().unnamed(text, &["x"]).ask(&mut client).await;
    assert_eq!(sqlstate(&answer), "42P01");
    Batch::default().unnamed("select 1", &[]).expect(&mut client, "12TDCZ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_relies_on_what_it_was_told_is_told_otherwise_once() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "reliant", 1).await;
    let mut client = login(&tenant).await;
    let past = Past::the_gateway(stack, &tenant).await;
    run(&mut client, "create table reliant as select 1 as a").await;
    let text = "select * from reliant";
    Batch::default().parse("s", text).describe("s").sync().expect(&mut client, "1tTZ").await;
    for round in 0..2 {
        past.run(&format!("alter table reliant add b{round} int")).await;
        // It does not ask what the rows look like, so it must not get others.
        let answer = Batch::default().bind("s", &[]).execute().sync().expect(&mut client, "EZ").await;
        assert_eq!(sqlstate(&answer), "0A000");
        // What drivers do then: prepare again, by another name, and close the old one.
        let name = format!("s{round}");
        let batch = Batch::default().close("s").parse(&name, text).describe(&name).bind(&name, &[]).execute();
        let answer = batch.close(&name).parse("s", text).sync().expect(&mut client, "31tT2DC31Z").await;
        assert_eq!(columns(&answer), round + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_transaction_the_error_goes_through_and_the_next_try_works() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "within", 1).await;
    let mut client = login(&tenant).await;
    let past = Past::the_gateway(stack, &tenant).await;
    run(&mut client, "create table within as select 1 as a").await;
    let text = "select * from within";
    for _ in 0..3 {
        Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
    }
    past.run("alter table within add b int").await;
    run(&mut client, "begin").await;
    let answer = Batch::default().unnamed(text, &[]).ask(&mut client).await;
    assert_eq!((sqlstate(&answer).as_str(), &answer[answer.len() - 1].body[..]), ("0A000", &b"E"[..]));
    run(&mut client, "rollback").await;
    run(&mut client, "begin").await;
    let answer = Batch::default().unnamed(text, &[]).expect(&mut client, "12TDCZ").await;
    assert_eq!(columns(&answer), 2);
    run(&mut client, "commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_were_deallocated_behind_our_back_come_back() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "deallocated", 1).await;
    let mut client = login(&tenant).await;
    run(&mut client, BEHIND).await;
    let before = stack.metric("tenantry_prepared_heals_total", &[]).await;
    Batch::default().parse("s", "select 'named'").sync().expect(&mut client, "1Z").await;
    for _ in 0..3 {
        Batch::default().unnamed("select 'unnamed'", &[]).expect(&mut client, "12TDCZ").await;
    }
    for _ in 0..2 {
        run(&mut client, "select behind('deallocate all')").await;
        let answer = Batch::default().bind("s", &[]).execute().sync().expect(&mut client, "2DCZ").await;
        assert_eq!(first(&answer), "named");
        run(&mut client, "select behind('deallocate all')").await;
        Batch::default().describe("s").sync().expect(&mut client, "tTZ").await;
        let answer = Batch::default().unnamed("select 'unnamed'", &[]).expect(&mut client, "12TDCZ").await;
        assert_eq!(first(&answer), "unnamed");
        // Asked for without a Sync, as some drivers do.
        run(&mut client, "select behind('deallocate all')").await;
        Batch::default().describe("s").flush().send(&mut client).await;
        for tag in b"tT" {
            assert_eq!(client.message().await.expect("an answer").tag, *tag);
        }
        Batch::default().bind("s", &[]).execute().sync().expect(&mut client, "2DCZ").await;
    }
    assert!(stack.metric("tenantry_prepared_heals_total", &[]).await >= before + 6.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_was_made_anew_is_the_new_one() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "retyped", 1).await;
    let mut client = login(&tenant).await;
    let past = Past::the_gateway(stack, &tenant).await;
    run(&mut client, "create type mood as enum ('good')").await;
    for _ in 0..3 {
        Batch::default().unnamed("select $1::mood", &["good"]).expect(&mut client, "12TDCZ").await;
    }
    past.run("drop type mood; create type mood as enum ('bad')").await;
    let answer = Batch::default().unnamed("select $1::mood", &["bad"]).expect(&mut client, "12TDCZ").await;
    assert_eq!(first(&answer), "bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_names_nothing_leaves_the_statements_of_others_alone() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "nowhere", 1).await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    let past = Past::the_gateway(stack, &tenant).await;
    run(&mut client, "create type mood as enum ('good')").await;
    Batch::default().parse("exists", "select $1::regclass").sync().expect(&mut client, "1Z").await;
    Batch::default().parse("felt", "select $1::mood").sync().expect(&mut client, "1Z").await;
    let prepared = "select prepare_time from pg_prepared_statements where statement = 'select 12345'";
    let mut prepared_again = async || {
        Batch::default().parse("kept", "select 12345").close("kept").sync().expect(&mut other, "13Z").await;
        other.value(prepared).await
    };
    let before = prepared_again().await;
    for _ in 0..3 {
        let batch = Batch::default().describe("exists").bind("exists", &["nowhere"]).execute().sync();
        assert_eq!(sqlstate(&batch.expect(&mut client, "tTEZ").await), "42P01");
        let answer = Batch::default().bind("exists", &["nowhere"]).execute().sync();
        assert_eq!(sqlstate(&answer.expect(&mut client, "EZ").await), "42P01");
        let batch = Batch::default().parse("", "select $1::regclass").bind("", &["nowhere"]).execute().sync();
        assert_eq!(sqlstate(&batch.expect(&mut client, "1EZ").await), "42P01");
    }
    assert_eq!(prepared_again().await, before);
    // What is bound when it was prepared anew shows that the schema has changed.
    Batch::default().bind("felt", &["good"]).execute().sync().expect(&mut client, "2DCZ").await;
    past.run("drop type mood; create type mood as enum ('bad')").await;
    let batch = Batch::default().bind("felt", &["bad"]).describe_portal().execute().sync();
    batch.expect(&mut client, "2TDCZ").await;
    assert_ne!(prepared_again().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_is_the_clients_own_leaves_its_statement_alone() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "own-errors", 1).await;
    let mut client = login(&tenant).await;
    for _ in 0..3 {
        Batch::default().unnamed("select $1::int", &["1"]).expect(&mut client, "12TDCZ").await;
    }
    let prepared = "select prepare_time from pg_prepared_statements";
    let before = client.value(prepared).await;
    for _ in 0..5 {
        let answer = Batch::default().unnamed("select $1::int", &["x"]).expect(&mut client, "1EZ").await;
        assert_eq!(sqlstate(&answer), "22P02");
    }
    assert_eq!(client.value(prepared).await, before);
}

//! tokio-postgres: prepared statements, requests sent ahead, COPY, cancelling, transactions.

use crate::tenant;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use harness::{Tenant, eventually};
use std::future::poll_fn;
use std::pin::pin;
use tokio::sync::mpsc;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Error, IsolationLevel, NoTls};

fn code(error: &Error) -> &str {
    error.code().map_or("none", SqlState::code)
}

async fn number(client: &Client, sql: &str) -> i32 {
    client.query_one(sql, &[]).await.expect("it runs").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_answer_again_and_again() {
    let client = tenant("tokio-prepared").await.connect().await;
    let statement = client.prepare("select $1::int4 + 1").await.expect("it is prepared");
    assert_eq!((statement.params(), statement.columns().len()), (&[Type::INT4][..], 1));
    for value in 0..50 {
        let row = client.query_one(&statement, &[&value]).await.expect("it runs");
        assert_eq!(row.get::<_, i32>(0), value + 1);
    }
    let typed = client.query_typed("select $1 || '!'", &[(&"typed", Type::TEXT)]).await.expect("it runs");
    assert_eq!(typed[0].get::<_, String>(0), "typed!");
    // The driver closes what is dropped; the same text by another name goes on working.
    drop(statement);
    let again = client.prepare("select $1::int4 + 1").await.expect("it is prepared");
    assert_eq!(client.query_one(&again, &[&1]).await.expect("it runs").get::<_, i32>(0), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_ahead_get_their_own_answers() {
    let client = tenant("tokio-ahead").await.connect().await;
    let statement = client.prepare("select 100 / $1::int4").await.expect("it is prepared");
    let answers = join_all((0..500).map(|value| {
        let (client, statement) = (&client, &statement);
        async move {
            let divisor = value % 10;
            match client.query_one(statement, &[&divisor]).await {
                Ok(row) => assert_eq!(row.get::<_, i32>(0), 100 / divisor),
                Err(error) => assert_eq!((code(&error), divisor), ("22012", 0)),
            }
        }
    }));
    answers.await;
    let unprepared = join_all((0..200).map(|value| {
        let client = &client;
        async move {
            let row = client.query_one("select $1::int4", &[&value]).await.expect("it runs");
            assert_eq!(row.get::<_, i32>(0), value);
        }
    }));
    unprepared.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_cannot_be_prepared_says_why_however_often_it_is_sent_ahead() {
    let client = tenant("tokio-wrong").await.connect().await;
    for _round in 0..5 {
        let attempts = join_all((0..20).map(|_| client.prepare("selec 1"))).await;
        for attempt in attempts {
            assert_eq!(code(&attempt.expect_err("no such statement")), "42601");
        }
    }
    assert_eq!(number(&client, "select 1").await, 1);
}

async fn with_items(slug: &str) -> (Tenant, Client) {
    let tenant = tenant(slug).await;
    let client = tenant.connect().await;
    client.batch_execute("create table items (id int4 primary key, name text)").await.expect("it is created");
    (tenant, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_brings_in_and_takes_out() {
    let (_tenant, client) = with_items("tokio-copy").await;
    let lines: Vec<Bytes> = (0..20_000).map(|id| Bytes::from(format!("{id}\titem {id}\n"))).collect();
    let sink = client.copy_in("copy items from stdin").await.expect("it begins");
    let mut sink = pin!(sink);
    sink.send_all(&mut stream::iter(lines.clone()).map(Ok)).await.expect("it is sent");
    assert_eq!(sink.as_mut().finish().await.expect("it ends"), 20_000);
    let out = client.copy_out("copy (select * from items order by id) to stdout").await.expect("it begins");
    let out: Vec<Bytes> = out.try_collect().await.expect("it arrives");
    assert_eq!(out.concat(), lines.concat());

    // The server refuses these: each of them is there already.
    let sink = client.copy_in("copy items from stdin").await.expect("it begins");
    let mut sink = pin!(sink);
    let sent = sink.send_all(&mut stream::iter(lines).map(Ok)).await;
    let refusal = match sent {
        Ok(()) => sink.as_mut().finish().await.expect_err("they are there already"),
        Err(error) => error,
    };
    assert_eq!(code(&refusal), "23505");

    // Dropping the sink breaks the COPY off.
    drop(client.copy_in::<_, Bytes>("copy items from stdin").await.expect("it begins"));
    assert_eq!(number(&client, "select count(*)::int4 from items").await, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_copy_brings_in_and_takes_out() {
    let (_tenant, client) = with_items("tokio-binary").await;
    let types = [Type::INT4, Type::TEXT];
    let sink = client.copy_in("copy items from stdin (format binary)").await.expect("it begins");
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for id in 0..2_000_i32 {
        writer.as_mut().write(&[&id, &format!("item {id}")]).await.expect("it is sent");
    }
    assert_eq!(writer.finish().await.expect("it ends"), 2_000);
    let sql = "copy (select * from items order by id) to stdout (format binary)";
    let out = client.copy_out(sql).await.expect("it begins");
    let rows: Vec<_> = BinaryCopyOutStream::new(out, &types).try_collect().await.expect("they arrive");
    assert_eq!((rows.len(), rows[1_999].get::<&str>(1)), (2_000, "item 1999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_token_ends_its_own_statement_and_nothing_after_it() {
    let (tenant, client) = with_items("tokio-cancel").await;
    let watcher = tenant.connect().await;
    let sleepers = "select count(*)::int4 from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep' and pid <> pg_backend_pid()";
    for _round in 0..5 {
        let token = client.cancel_token();
        let cancel = async {
            let asleep = async || (number(&watcher, sleepers).await == 1).then_some(());
            eventually("the statement to cancel runs", asleep).await;
            token.cancel_query(NoTls).await.expect("the cancel is sent");
        };
        let (slept, ()) = tokio::join!(client.batch_execute("select pg_sleep(300)"), cancel);
        assert_eq!(code(&slept.expect_err("it was cancelled")), "57014");
        for value in 0..20 {
            assert_eq!(number(&client, &format!("select {value}")).await, value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_savepoints_and_portals() {
    let (_tenant, mut client) = with_items("tokio-transactions").await;
    let mut transaction = client.transaction().await.expect("it begins");
    transaction.execute("insert into items values (1, 'kept')", &[]).await.expect("it runs");
    let savepoint = transaction.transaction().await.expect("it begins");
    let error =
        savepoint.execute("insert into items values (1, 'again')", &[]).await.expect_err("it is there");
    assert_eq!(code(&error), "23505");
    savepoint.rollback().await.expect("it is undone");
    let portal = transaction.bind("select generate_series(1, 10)", &[]).await.expect("it is bound");
    for expected in [4, 4, 2] {
        assert_eq!(transaction.query_portal(&portal, 4).await.expect("it runs").len(), expected);
    }
    transaction.commit().await.expect("it is kept");

    // Dropped, and so undone.
    let transaction = client.transaction().await.expect("it begins");
    transaction.execute("insert into items values (2, 'undone')", &[]).await.expect("it runs");
    drop(transaction);
    assert_eq!(number(&client, "select count(*)::int4 from items").await, 1);

    let serializable =
        client.build_transaction().isolation_level(IsolationLevel::Serializable).read_only(true);
    let transaction = serializable.start().await.expect("it begins");
    let refusal = transaction.execute("delete from items", &[]).await.expect_err("it is read only");
    assert_eq!(code(&refusal), "25006");
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_hears_what_others_say() {
    let tenant = tenant("tokio-listen").await;
    let (listener, mut connection) = tenant.config().connect(NoTls).await.expect("it connects");
    let (heard, mut hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                // The test may have heard enough.
                let _ = heard.send(notification.payload().to_owned());
            }
        }
    });
    listener.batch_execute("listen said").await.expect("it listens");
    let speaker = tenant.connect().await;
    for payload in ["one", "two"] {
        speaker.execute("select pg_notify('said', $1)", &[&payload]).await.expect("it is said");
    }
    assert_eq!(hears.recv().await.as_deref(), Some("one"));
    assert_eq!(hears.recv().await.as_deref(), Some("two"));
}

//! What a client can send: unknown names, names of ours, messages in pieces, messages without measure.

use super::{STACK, assert_no_connection_is_lost, error_of, login, run, single};
use harness::wire::{Message, WireClient, tags};
use pgwire::frontend::{PORTAL, STATEMENT, write};
use std::time::Duration;
use tokio_postgres::types::Type;

/// More than any buffer of the gateway's, and than any message that it reads whole.
const HUGE: usize = 20 * 1024 * 1024;

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

fn bind(statement: &str) -> Vec<u8> {
    message(|out| write::bind_text(out, b"", statement.as_bytes(), &[]).expect("it fits"))
}

async fn answer(client: &mut WireClient, bytes: &[u8]) -> Vec<Message> {
    let mut bytes = bytes.to_vec();
    write::sync(&mut bytes);
    client.send(&bytes).await.expect("sent");
    client.until_ready().await.expect("an answer")
}

#[tokio::test]
async fn what_is_not_there_is_said_by_the_server_and_the_session_goes_on() {
    let tenant = single("mistaken", "eu").await;
    let mut client = login(&tenant).await;
    let describe = |kind, name: &[u8]| message(|out| write::describe(out, kind, name).expect("it fits"));
    for (bytes, sqlstate) in [
        (bind("no_such_statement"), "26000"),
        (bind(""), "26000"),
        (describe(STATEMENT, b"no_such_statement"), "26000"),
        (describe(STATEMENT, b""), "26000"),
        (describe(PORTAL, b"no_such_portal"), "34000"),
        (message(|out| write::execute(out, b"no_such_portal", 0).expect("it fits")), "34000"),
    ] {
        assert_eq!(error_of(&answer(&mut client, &bytes).await), sqlstate, "{bytes:?}");
        assert_eq!(client.value("select 'still here'").await, "still here");
    }
    for kind in [STATEMENT, PORTAL] {
        let close = message(|out| write::close(out, kind, b"no_such_thing").expect("it fits"));
        assert_eq!(tags(&answer(&mut client, &close).await), "3Z", "closing what is not there is no error");
    }
}

/// Statements get names of ours on the server, which clients of one pool share. Nobody reaches them by those.
#[tokio::test]
async fn the_gateways_own_names_lead_nowhere() {
    let tenant = single("prying", "eu").await;
    let mut owner = login(&tenant).await;
    let parse = |name: &[u8]| message(|out| write::parse(out, name, b"select 'own'", &[]).expect("it fits"));
    assert_eq!(tags(&answer(&mut owner, &parse(b"mine")).await), "1Z");
    let taken =
        owner.value("select name from pg_prepared_statements where name like '\\_\\_tenantry%'").await;
    assert!(taken.starts_with("__tenantry_"), "{taken}");

    let mut other = login(&tenant).await;
    for name in [&*taken, "__tenantry_none", "__tenantry_", "mine"] {
        assert_eq!(error_of(&answer(&mut other, &bind(name)).await), "26000", "{name}");
        let describe = message(|out| write::describe(out, STATEMENT, name.as_bytes()).expect("it fits"));
        assert_eq!(error_of(&answer(&mut other, &describe).await), "26000", "{name}");
        let close = message(|out| write::close(out, STATEMENT, name.as_bytes()).expect("it fits"));
        assert_eq!(tags(&answer(&mut other, &close).await), "3Z", "{name}");
    }
    // The name is its own when it prepares something under it.
    assert_eq!(tags(&answer(&mut other, &parse(taken.as_bytes())).await), "1Z");
    let execute = message(|out| write::execute(out, b"", 0).expect("it fits"));
    for (client, name) in [(&mut other, &*taken), (&mut owner, "mine")] {
        let bytes = [bind(name), execute.clone()].concat();
        assert_eq!(tags(&answer(client, &bytes).await), "2DCZ", "{name}");
    }
    // In SQL the name does reach the server's statement, and the connection is not used after that.
    run(&mut other, &format!("deallocate \"{taken}\"")).await;
    let bytes = [bind("mine"), execute.clone()].concat();
    assert_eq!(tags(&answer(&mut owner, &bytes).await), "2DCZ", "somebody took it away");
    let twice = [parse(b"mine"), parse(b"mine")].concat();
    assert_eq!(error_of(&answer(&mut owner, &twice).await), "42P05", "one name for two statements");
    assert_eq!(owner.value("select 'still here'").await, "still here");
}

#[tokio::test]
async fn empty_requests_are_answered_as_the_server_would() {
    let tenant = single("terse", "eu").await;
    let mut client = login(&tenant).await;
    assert_eq!(tags(&client.query("").await.expect("an answer")), "IZ");
    assert_eq!(tags(&client.query(";;").await.expect("an answer")), "IZ");
    assert_eq!(tags(&answer(&mut client, &[]).await), "Z", "a Sync alone");
    let syncs = message(|out| (0..4).for_each(|_| write::sync(out)));
    client.send(&syncs).await.expect("sent");
    for _ in 0..4 {
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "Z");
    }
    let flush = message(write::flush);
    assert_eq!(tags(&answer(&mut client, &flush).await), "Z", "a Flush alone");
    // Data for a COPY that has failed, or never was.
    let stray = [b"d\0\0\0\x051".as_slice(), b"c\0\0\0\x04", b"f\0\0\0\x05\0"].concat();
    assert_eq!(tags(&answer(&mut client, &stray).await), "Z");
    assert_eq!(client.value("select 'still here'").await, "still here");
}

/// Each kind of message that the gateway looks into, in one go.
fn script() -> Vec<u8> {
    message(|out| {
        write::query(out, b"select 1; select 'two'").expect("it fits");
        write::parse(out, b"named", b"select $1::text || $2::text", &[]).expect("it fits");
        write::describe(out, STATEMENT, b"named").expect("it fits");
        write::bind_text(out, b"p", b"named", &[Some(b"le".as_slice()), Some(b"ft")]).expect("it fits");
        write::describe(out, PORTAL, b"p").expect("it fits");
        write::execute(out, b"p", 0).expect("it fits");
        write::close(out, PORTAL, b"p").expect("it fits");
        write::flush(out);
        write::close(out, STATEMENT, b"named").expect("it fits");
        write::sync(out);
        write::query(out, b"copy pieces from stdin").expect("it fits");
        out.extend(b"d\0\0\0\x061\n");
        out.extend(b"c\0\0\0\x04");
        write::query(out, b"select 1/0").expect("it fits");
    })
}

async fn script_answers(client: &mut WireClient) -> Vec<Message> {
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.extend(client.until_ready().await.expect("an answer"));
    }
    answers
}

#[tokio::test]
async fn messages_may_arrive_in_any_two_pieces() {
    let tenant = single("pieces", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table pieces (n int)").await;
    let script = script();
    client.send(&script).await.expect("sent");
    let whole = script_answers(&mut client).await;
    assert_eq!(tags(&whole), "TDCTDCZ1tT2TDC33ZGCZEZ");
    for split in 1..script.len() {
        client.send(&script[..split]).await.expect("sent");
        // Not a wait for anything: without a pause the kernel would join the pieces.
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.send(&script[split..]).await.expect("sent");
        assert_eq!(script_answers(&mut client).await, whole, "split at {split}");
    }
    let rows = client.value("select count(*) from pieces").await;
    assert_eq!(rows, script.len().to_string());
}

#[tokio::test]
async fn messages_may_arrive_byte_by_byte() {
    let tenant = single("bytes", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table pieces (n int)").await;
    for byte in script() {
        client.send(&[byte]).await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(tags(&script_answers(&mut client).await), "TDCTDCZ1tT2TDC33ZGCZEZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_row_passes_both_ways() {
    let tenant = single("huge", "eu").await;
    let client = tenant.connect().await;
    let text = "x".repeat(HUGE);
    let echo = client.prepare_typed("select $1", &[Type::TEXT]).await.expect("prepared");
    let row = client.query_one(&echo, &[&text]).await.expect("a huge row");
    assert_eq!(row.get::<_, &str>(0).len(), HUGE);

    let query = format!("select length('{text}')");
    let rows = client.simple_query(&query).await.expect("a huge query");
    assert!(rows.iter().any(|row| matches!(row, tokio_postgres::SimpleQueryMessage::Row(row)
        if row.get(0) == Some(HUGE.to_string().as_str()))));

    client.batch_execute("create table huge (t text)").await.expect("made");
    let sink = client.copy_in("copy huge from stdin").await.expect("a COPY");
    let mut sink = std::pin::pin!(sink);
    let line = bytes::Bytes::from(format!("{text}\n"));
    futures_util::SinkExt::send(&mut sink, line).await.expect("sent");
    assert_eq!(sink.finish().await.expect("the end of the COPY"), 1);
    let row = client.query_one("select t from huge", &[]).await.expect("a huge row");
    assert_eq!(row.get::<_, &str>(0).len(), HUGE);
    assert_no_connection_is_lost(&tenant).await;
}

/// A statement's text is kept, so its size is bounded; the connection says so and ends.
#[tokio::test]
async fn a_statement_too_large_to_keep_is_refused() {
    let tenant = single("hoarding", "eu").await;
    let mut client = login(&tenant).await;
    let text = format!("select '{}'", "x".repeat(5 * 1024 * 1024));
    let parse = message(|out| write::parse(out, b"big", text.as_bytes(), &[]).expect("it fits"));
    // The gateway may have ended the connection before it has read everything.
    let _ = client.send(&parse).await;
    let first = client.message().await.expect("an error");
    assert_eq!(first.sqlstate(), "54000");
    assert_eq!(login(&tenant).await.value("select 'next'").await, "next");
}

/// A client that never stops asking in one transaction keeps nobody's connection but its own.
#[tokio::test]
async fn a_pipeline_of_thousands_is_answered_in_order() {
    let tenant = single("pipelining", "eu").await;
    let mut client = login(&tenant).await;
    let requests = message(|out| {
        for number in 0..5_000 {
            write::query(out, format!("select {number}").as_bytes()).expect("it fits");
        }
    });
    let (address, count) = (client.stream().peer_addr().expect("connected"), 5_000);
    client.send(&requests).await.expect("sent");
    for number in 0..count {
        let messages = client.until_ready().await.expect("an answer");
        assert_eq!(messages[1].first_column(), number.to_string());
    }
    assert_eq!(address.port(), STACK.addresses().pg.port());
}

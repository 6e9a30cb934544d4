//! How it is said: both protocols, several statements, mistakes.

use super::{admin, columns, console, run, show, sqlstate, stats, tenant};
use harness::Tool;
use harness::wire::{WireClient, tags};
use pgwire::frontend::write;
use tokio_postgres::NoTls;

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_answered_in_order_up_to_the_first_mistake() {
    let mut client = console(&stats()).await;
    let messages = client.query("show version; /* and */ SHOW STATE -- both\n;").await.unwrap();
    assert_eq!(tags(&messages), "TDCTDDDCZ");
    let messages = client.query("SHOW VERSION; NONSENSE; SHOW STATE").await.unwrap();
    assert_eq!(tags(&messages), "TDCEZ");
    assert_eq!(tags(&client.query(" ; ").await.unwrap()), "IZ");
    assert_eq!(sqlstate(&mut client, "SELECT 1").await, "42601");
    show(&mut client, "SHOW VERSION").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drivers_say_unasked_does_no_harm() {
    let mut client = console(&stats()).await;
    for text in [
        "SET client_encoding TO 'UTF8'",
        "SET extra_float_digits = 3",
        "SET application_name = 'x'",
        "DISCARD ALL",
    ] {
        run(&mut client, text).await;
    }
    let messages = client.query("BEGIN; SHOW VERSION").await.unwrap();
    assert_eq!(messages.last().unwrap().body, b"T");
    let messages = client.query("COMMIT").await.unwrap();
    assert_eq!(messages.last().unwrap().body, b"I");
    assert_eq!(
        columns(&client.query("SHOW TRANSACTION ISOLATION LEVEL").await.unwrap()),
        ["transaction_isolation"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extended_protocol_says_the_same() {
    let (client, connection) = stats().connect(NoTls).await.expect("let in");
    tokio::spawn(connection);
    let statement = client.prepare("SHOW LISTS").await.expect("prepared");
    assert_eq!(statement.columns().len(), 2);
    for _ in 0..2 {
        let rows = client.query(&statement, &[]).await.expect("rows in binary");
        let clients = rows.iter().find(|row| row.get::<_, &str>("list") == "used_clients").expect("a row");
        assert!(clients.get::<_, i32>("items") >= 0);
    }
    let failed = client.query("PAUSE acme", &[]).await.expect_err("not allowed");
    assert_eq!(failed.code().map(|code| code.code()), Some("42501"));
    let failed = client.query("SHOW NOTHING", &[]).await.expect_err("no such thing");
    assert_eq!(failed.code().map(|code| code.code()), Some("42601"));
    client.query("SHOW POOLS", &[]).await.expect("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_portions_when_a_portal_is_asked_for_few() {
    let mut client = console(&stats()).await;
    let mut out = Vec::new();
    write::parse(&mut out, b"", b"SHOW STATE", &[]).unwrap();
    write::bind_text(&mut out, b"", b"", &[]).unwrap();
    write::describe(&mut out, b'P', b"").unwrap();
    write::execute(&mut out, b"", 2).unwrap();
    write::execute(&mut out, b"", 0).unwrap();
    write::sync(&mut out);
    client.send(&out).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "12TDDsDCZ");
    out.clear();
    write::execute(&mut out, b"gone", 0).unwrap();
    write::parse(&mut out, b"", b"SHOW STATE", &[]).unwrap();
    write::sync(&mut out);
    client.send(&out).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "EZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_ends_the_session() {
    let mut client = console(&stats()).await;
    client.send(b"Q\x00\x10\x00\x00").await.unwrap();
    let last = client.until_end().await.expect("an orderly end");
    assert_eq!(last[0].sqlstate(), "54000");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_tables_and_help_and_survives_its_own_questions() {
    let _tenant = tenant("by-hand", 2).await;
    let config = admin();
    let dsn = super::STACK.descriptor().gateway.console.clone();
    let script =
        "SHOW HELP;\nshow pools;\n\\d\nPAUSE \"by-hand\";\nSHOW STATE;\nRESUME \"by-hand\";\nSHOW VERSION;\n";
    let output = Tool::Psql.run(["--no-psqlrc", "-d", dsn.as_str()], script).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("SHOW ROUTE <tenant>"), "{}", output.stderr);
    assert!(output.stderr.contains("invalid command"), "{}", output.stderr);
    for expected in ["cl_active", "PAUSE", "RESUME", "suspended", "Tenantry "] {
        assert!(output.stdout.contains(expected), "{expected} is missing: {}", output.stdout);
    }
    let client = WireClient::login(&config).await;
    assert!(client.is_ok());
}

//! Who gets in, how, and what a client is then.

use super::{all_at_once, at_once, bytes_of, connect, open, opened};
use crate::{Http, administrator, running};
use futures_util::{SinkExt, StreamExt};
use harness::wire::{WireClient, tags};
use harness::{Stack, wait_until};
use pgwire::frontend::write;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

#[tokio::test]
async fn a_driver_that_waits_for_scram_works_as_on_the_wire() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let client = connect(&stack, &tenant).await;
    client.batch_execute("create table numbers (n int)").await.unwrap();
    let inserted =
        client.execute("insert into numbers select generate_series(1, $1::int)", &[&50_000]).await.unwrap();
    assert_eq!(inserted, 50_000);
    let rows = client.query("select n, repeat('x', 200) from numbers order by n", &[]).await.unwrap();
    assert!(rows.iter().map(|row| row.get::<_, i32>(0)).eq(1..=50_000));
    let long = "é".repeat(3_000_000);
    let back: String = client.query_one("select $1::text", &[&long]).await.unwrap().get(0);
    assert!(back == long, "a message of many frames, and one of many megabytes");
    assert_eq!(stack.metric("tenantry_gateway_websockets_total", &[]).await, 1.0);
    assert_eq!(stack.metric("tenantry_gateway_clients", &[]).await, 1.0);
}

#[tokio::test]
async fn a_password_may_come_with_the_startup_packet() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let socket = opened(&stack).await;
    let answers = at_once(socket, all_at_once(user, "acme", &password, "select 'in' as t")).await;
    let said = tags(&answers);
    assert!(said.starts_with("RR") && said.ends_with("KZTDCZ"), "{said}");
    assert_eq!(answers[0].body, [0, 0, 0, 3], "it is asked for, for drivers that look at the question");
    assert_eq!(answers[said.find('D').unwrap()].first_column(), "in");
    for (user, database, password) in
        [(user, "acme", "wrong"), ("nobody", "acme", "wrong"), (user, "nowhere", &password)]
    {
        let socket = opened(&stack).await;
        let answers = at_once(socket, all_at_once(user, database, password, "select 1")).await;
        assert_eq!((tags(&answers).as_str(), answers[1].sqlstate().as_str()), ("RE", "28P01"));
    }
}

#[tokio::test]
async fn all_that_names_the_tenant_must_agree() {
    let stack = Stack::start().await;
    let (tenant, _other) =
        (stack.create_tenant("acme", "eu").await, stack.create_tenant("other", "eu").await);
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let outcome = async |host: &str, path: &str, database: &str| {
        let socket = open(&stack, host, path).await.unwrap().0;
        let answers = at_once(socket, all_at_once(user, database, &password, "select 1")).await;
        let error = answers.iter().find(|answer| answer.tag == b'E');
        error.map_or_else(|| "in".to_owned(), harness::wire::Message::sqlstate)
    };
    for (host, path, database, expected) in [
        ("127.0.0.1", "/v2", "acme", "in"),
        ("acme.localhost", "/v2", "acme", "in"),
        ("acme.localhost", "/v2", user, "in"),
        ("127.0.0.1", "/t/acme/v2", user, "in"),
        ("127.0.0.1", "/v2?address=acme.localhost:5432", user, "in"),
        ("other.localhost", "/v2", "acme", "28000"),
        ("acme.localhost", "/v2", "other", "28000"),
        ("127.0.0.1", "/t/other/v2", "acme", "28000"),
        ("127.0.0.1", "/v2?address=other.localhost:5432", "acme", "28000"),
        ("other.localhost", "/v2", user, "28P01"),
    ] {
        assert_eq!(outcome(host, path, database).await, expected, "{host} {path} {database}");
    }
}

#[tokio::test]
async fn what_opens_no_websocket_is_told_why() {
    let stack = Stack::start().await;
    let http = Http::new(&stack);
    for (method, version, status) in
        [(Method::GET, None, 426), (Method::GET, Some("8"), 426), (Method::POST, Some("13"), 405)]
    {
        let mut request = http.request(method.clone(), "/v2");
        if let Some(version) = version {
            request = request
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", version)
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {version:?}");
        if status == 426 {
            assert_eq!(response.headers()["sec-websocket-version"], "13");
            assert_eq!(response.headers()["upgrade"], "websocket");
        }
    }
    for (host, path) in [("a.x,b.x", "/v2"), ("127.0.0.1", "/v2?address=a:b")] {
        let Err(Error::Http(response)) = open(&stack, host, path).await else {
            panic!("{host} {path} opened")
        };
        assert_eq!(response.status().as_u16(), 400, "{host} {path}");
    }
}

#[tokio::test]
async fn the_console_and_cancels_know_what_they_are() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let answers =
        at_once(opened(&stack).await, all_at_once("operator", "tenantry", "secret", "show clients")).await;
    assert_eq!((tags(&answers).as_str(), answers[0].sqlstate().as_str()), ("E", "0A000"));

    let administrator = administrator(&stack).await;
    let client = connect(&stack, &tenant).await;
    let cancel = client.cancel_token();
    let slow =
        tokio::spawn(async move { client.batch_execute("select 'by-websocket', pg_sleep(600)").await });
    wait_until("the statement runs", async || running(&administrator, "by-websocket").await == 1).await;
    cancel.cancel_query_raw(bytes_of(opened(&stack).await), tokio_postgres::NoTls).await.unwrap();
    let error = slow.await.unwrap().unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014");
}

#[tokio::test]
async fn a_client_that_closes_cancels_its_statement() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let administrator = administrator(&stack).await;
    for how in ["close", "vanish"] {
        let mut socket = opened(&stack).await;
        let slow = format!("select '{how}', pg_sleep(600)");
        socket.send(all_at_once(user, "acme", &password, &slow)).await.unwrap();
        wait_until("the statement runs", async || running(&administrator, how).await == 1).await;
        if how == "close" {
            socket.close(None).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        } else {
            drop(socket);
        }
        wait_until("the statement is cancelled", async || running(&administrator, how).await == 0).await;
    }
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_and_closes() {
    let mut stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let mut socket = opened(&stack).await;
    socket.send(all_at_once(user, "acme", &password, "select 1")).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"Z\0\0\0\x05I") || !bytes.windows(8).any(|window| window == b"SELECT 1") {
        bytes.extend_from_slice(&socket.next().await.unwrap().unwrap().into_data());
    }
    stack.stop_gateway().await.unwrap();
    let (mut said, mut code) = (Vec::new(), None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Close(frame) => code = frame.map(|frame| frame.code),
            message => said.extend_from_slice(&message.into_data()),
        }
    }
    assert!(said.windows(5).any(|window| window == b"57P01"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(code, Some(CloseCode::Normal));
}

#[tokio::test]
async fn frames_may_be_cut_anywhere() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let config = tenant.config();
    let mut startup = Vec::new();
    write::startup(&mut startup, [("user", config.get_user().unwrap()), ("database", "acme")]).unwrap();
    let mut socket = opened(&stack).await;
    for byte in startup {
        socket.send(Message::binary(vec![byte])).await.unwrap();
        socket.send(Message::Ping(vec![byte].into())).await.unwrap();
    }
    let mut client = WireClient::over(bytes_of(socket));
    client.authenticate(tenant.password().as_bytes()).await.unwrap();
    client.until_ready().await.unwrap();
    assert_eq!(client.value("select 'whole'").await, "whole");
    assert_eq!(json!(client.value("select 1").await), "1");
}

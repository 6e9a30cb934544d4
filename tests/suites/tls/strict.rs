//! A gateway that demands everything: TLS, of version 1.3, with a certificate and a password.

use crate::client::login;
use crate::{STRICT, WORLD, address, startup, tls};
use harness::wire::WireClient;
use harness::{Tenant, wait_until};
use pgwire::frontend::write;
use reqwest::Method;
use serde_json::json;
use tenantry::client::path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Makes a tenant. The harness' own way connects in clear, which is not served here.
async fn create(slug: &str) -> Tenant {
    let body = json!({ "slug": slug, "region": "eu" });
    let created = STRICT.must(Method::POST, &path(&["tenants"]), Some(&body)).await;
    let operation = created.pointer("/operation/id").and_then(|id| id.as_str()).expect("an operation");
    assert_eq!(STRICT.finished(operation).await["state"], "succeeded");
    Tenant::from_created(&created)
}

#[tokio::test]
async fn nobody_is_served_in_clear() {
    let tenant = create("clear").await;
    let mut client = WireClient::over(TcpStream::connect(address(&STRICT)).await.expect("it listens"));
    client.startup(&startup(&tenant)).await.expect("sent");
    let error = client.message().await.expect("an error");
    assert_eq!((error.sqlstate().as_str(), error.text().contains("TLS")), ("28000", true));
    assert!(client.until_end().await.expect("the end").is_empty());

    let mut http =
        TcpStream::connect(&STRICT.descriptor().gateway.http["http://".len()..]).await.expect("it listens");
    http.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    let _ = http.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("HTTPS"), "{answer}");
}

#[tokio::test]
async fn certificate_and_password_are_both_needed() {
    let tenant = create("both").await;
    let good = WORLD.clients.sign_client("app.both");
    let mut client = tls().showing(&good).request(address(&STRICT)).await.expect("TLS");
    login(&mut client, &startup(&tenant), &tenant.password()).await.expect("let in");
    assert_eq!(client.value("select 1").await, "1");

    let mut client = tls().showing(&good).request(address(&STRICT)).await.expect("TLS");
    let error = login(&mut client, &startup(&tenant), "wrong").await.expect_err("a wrong password");
    assert_eq!(error.sqlstate(), "28P01");

    let stranger = crate::certs::Authority::new("a stranger").sign_client("app.both");
    for tls in [tls(), tls().showing(&stranger)] {
        // With TLS 1.3 the client is done before the gateway has seen that there is no certificate.
        if let Ok(mut client) = tls.request(address(&STRICT)).await {
            let refused = login(&mut client, &startup(&tenant), &tenant.password()).await;
            assert_eq!(refused.expect_err("no good certificate").tag, 0, "the connection just ends");
        }
    }
}

#[tokio::test]
async fn older_versions_are_not_spoken() {
    let mut old = tls().showing(&WORLD.clients.sign_client("app"));
    old.only_tls12 = true;
    assert!(old.request(address(&STRICT)).await.is_err());
}

#[tokio::test]
async fn a_cancel_request_in_clear_is_heard() {
    let tenant = create("cancelled").await;
    let good = WORLD.clients.sign_client("app.cancelled");
    let mut client = tls().showing(&good).request(address(&STRICT)).await.expect("TLS");
    login(&mut client, &startup(&tenant), &tenant.password()).await.expect("let in");
    let mut query = Vec::new();
    write::query(&mut query, b"select pg_sleep(600)").expect("it fits");
    client.send(&query).await.expect("sent");
    let inside = STRICT.inside(&tenant).await;
    let count =
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
    wait_until("it runs", async || {
        inside.query_one(count, &[]).await.expect("an administrator may").get::<_, i64>(0) > 0
    })
    .await;
    let mut stream = TcpStream::connect(address(&STRICT)).await.expect("it listens");
    stream.write_all(&client.cancel_request()).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    let error = answer.iter().find(|message| message.tag == b'E').expect("an error");
    assert_eq!(error.sqlstate(), "57014");
}

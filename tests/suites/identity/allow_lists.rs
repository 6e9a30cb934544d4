//! From where tenants may be reached, and whom trusted proxies are believed.

use super::STACK;
use harness::{Knock, Tenant, eventually, log_in};
use reqwest::Method;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tenantry::client::path;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

/// The address of the proxy that the stack's gateway trusts.
pub(super) const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// An address that nobody here has but by a proxy's word.
const ELSEWHERE: &str = "198.51.100.7";

async fn allow(tenant: &Tenant, ranges: &[&str]) {
    let list = path(&["tenants", &tenant.id, "allow-list"]);
    STACK.must(Method::PUT, &list, Some(&json!({ "ranges": ranges }))).await;
}

/// A request by way of the trusted proxy, which writes these headers.
async fn by_proxy(key: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let client = reqwest::Client::builder().local_address(IpAddr::from(PROXY)).build().unwrap();
    let url = format!("{}/sql", STACK.descriptor().gateway.http);
    let mut request = client.post(url).bearer_auth(key).json(&json!({ "query": "select 1" }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn who_is_not_in_the_list_is_refused_and_only_those_hear_it_who_have_proved_who_they_are() {
    let tenant = STACK.create_tenant("listed", "eu").await;
    let key = tenant.api_key.clone();
    let mut config = tenant.config();
    allow(&tenant, &["198.51.100.0/24", "2001:db8::/32"]).await;
    eventually("it is refused on the wire", async || {
        log_in(&config).await.err().filter(|code| code == "28000").map(drop)
    })
    .await;
    let (status, body) = Knock::new().bearer(&key).ask(&STACK, "select 1").await;
    assert_eq!((status, &body["code"]), (403, &json!("28000")));
    assert!(body["message"].as_str().unwrap().contains("127.0.0.1"), "{body}");
    // Strangers hear what they hear of any tenant, and of none.
    config.password("wrong");
    assert_eq!(log_in(&config).await.err().as_deref(), Some("28P01"));
    assert_eq!(Knock::new().bearer("tnt_wrong").status(&STACK).await, 401);

    allow(&tenant, &["127.0.0.0/8"]).await;
    let config = tenant.config();
    eventually("it is served again", async || log_in(&config).await.ok()).await;
    let shown = STACK.must(Method::GET, &path(&["tenants", &tenant.id, "allow-list"]), None).await;
    assert_eq!(shown["ranges"], json!(["127.0.0.0/8"]));
}

#[tokio::test]
async fn a_change_sends_away_who_is_no_longer_allowed() {
    let tenant = STACK.create_tenant("shut-out", "eu").await;
    let (idle, busy) = (tenant.connect().await, tenant.connect().await);
    busy.batch_execute("begin").await.unwrap();
    let before = STACK.metric("tenantry_gateway_shut_out_clients_total", &[]).await;
    allow(&tenant, &[ELSEWHERE]).await;
    for client in [&idle, &busy] {
        let code = eventually("it is sent away", async || match client.simple_query("select 1").await {
            Ok(_) => None,
            // Once it is closed, what it was told first is lost to this driver.
            Err(error) => Some(error.code().cloned().unwrap_or(SqlState::ADMIN_SHUTDOWN)),
        })
        .await;
        assert_eq!(code, SqlState::ADMIN_SHUTDOWN);
    }
    assert!(STACK.metric("tenantry_gateway_shut_out_clients_total", &[]).await >= before + 2.0);
}

#[tokio::test]
async fn a_request_that_runs_ends_when_its_address_is_no_longer_allowed() {
    let tenant = STACK.create_tenant("cut-short", "eu").await;
    let key = tenant.api_key.clone();
    let knock = Knock::new().bearer(&key);
    let asked = async { knock.ask(&STACK, "select pg_sleep(50)").await };
    let shut = async {
        let admin = STACK.inside(&tenant).await;
        eventually("it runs", async || {
            let sql =
                "select from pg_stat_activity where query like 'select pg_sleep(50)%' and state = 'active'";
            admin.query_opt(sql, &[]).await.unwrap().map(drop)
        })
        .await;
        allow(&tenant, &[ELSEWHERE]).await;
    };
    let ((status, body), ()) = tokio::join!(asked, shut);
    assert_eq!((status, &body["code"]), (403, &json!("28000")));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_nobody_else() {
    let tenant = STACK.create_tenant("proxied", "eu").await;
    let key = tenant.api_key.clone();
    allow(&tenant, &[ELSEWHERE]).await;
    let forwarded = format!("for={ELSEWHERE};proto=https");
    eventually("the client is believed to be there", async || {
        (by_proxy(&key, &[("x-forwarded-for", ELSEWHERE)]).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(by_proxy(&key, &[("forwarded", &forwarded)]).await.0, 200);
    assert_eq!(by_proxy(&key, &[]).await.0, 403, "the proxy itself is not in the list");
    // What a client has written before the proxy did counts for nothing.
    let forged = format!("{ELSEWHERE}, 192.0.2.1");
    assert_eq!(by_proxy(&key, &[("x-forwarded-for", &forged)]).await.0, 403);
    let (status, _) = by_proxy(&key, &[("x-forwarded-for", "192.0.2.1"), ("forwarded", &forwarded)]).await;
    assert_eq!(status, 400, "two headers that disagree");

    let client = reqwest::Client::new();
    let url = format!("{}/sql", STACK.descriptor().gateway.http);
    let stranger = client.post(url).bearer_auth(&key).header("x-forwarded-for", ELSEWHERE);
    let stranger = stranger.json(&json!({ "query": "select 1" })).send().await.unwrap();
    assert_eq!(stranger.status().as_u16(), 403);
}

/// A connection of the trusted proxy's to the gateway's PostgreSQL listener.
async fn proxy_connection(config: &Config) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((PROXY, 0))).unwrap();
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, config.get_ports()[0]))).await.unwrap()
}

/// The header of version 2 that names `client`.
fn header(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend_from_slice(&client.octets());
    header.extend_from_slice(&Ipv4Addr::LOCALHOST.octets());
    header.extend_from_slice(&[0, 5, 0, 6]);
    header
}

#[tokio::test]
async fn on_the_wire_a_trusted_proxy_names_its_client_and_has_to() {
    let tenant = STACK.create_tenant("proxied-wire", "eu").await;
    allow(&tenant, &[ELSEWHERE]).await;
    let config = tenant.config();
    eventually("the list is in force", async || {
        log_in(&config).await.err().filter(|code| code == "28000").map(drop)
    })
    .await;
    let mut stream = proxy_connection(&config).await;
    stream.write_all(&header(ELSEWHERE.parse().unwrap())).await.unwrap();
    let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.simple_query("select 1").await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();

    let code = async |stream| {
        let refused = config.connect_raw(stream, NoTls).await.err().unwrap();
        refused.code().unwrap().code().to_owned()
    };
    let mut elsewhere = proxy_connection(&config).await;
    elsewhere.write_all(&header(Ipv4Addr::new(192, 0, 2, 1))).await.unwrap();
    assert_eq!(code(elsewhere).await, "28000");
    assert_eq!(code(proxy_connection(&config).await).await, "08P01", "it has to speak the PROXY protocol");
}

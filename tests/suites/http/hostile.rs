//! Clients that mean no good: whoever reads nothing, never ends its body, or takes back what it asks for, loses its
//! connection, and its neighbours notice nothing.

use super::http2::{self, request};
use super::streaming::{ENDLESS, raw_request};
use super::{Http, administrator, running, value};
use harness::{Stack, Tenant, eventually, wait_until};
use http_body_util::BodyExt;
use serde_json::Value;
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STALL_MS: u64 = 1_000;
const REQUEST_MS: u64 = 6_000;

/// Far more than are forgiven.
const RESETS: usize = 3_000;

/// After so many the neighbour asks for something.
const RESETS_BETWEEN: usize = 50;

#[tokio::test]
async fn clients_that_stall_or_take_back_lose_their_connections() {
    let options = StackOptions::ephemeral().gateway(|gateway| {
        gateway.http.stall_timeout_ms = STALL_MS;
        gateway.limits.http_request_timeout_ms = REQUEST_MS;
    });
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let neighbour = stack.create_tenant("neighbour", "eu").await;
    let http = Http::new(&stack);

    who_does_not_read_is_sent_away(&stack, &http, &tenant, &neighbour).await;
    over_http2_the_first_loses_its_stream_only(&stack, &tenant).await;
    a_body_that_never_ends_is_not_waited_for(&stack, &tenant).await;
    who_takes_everything_back_is_sent_away(&stack, &http, &tenant, &neighbour).await;
    for tenant in [&tenant, &neighbour] {
        assert_eq!(value(&http, tenant, "select 1").await, 1);
    }
}

async fn who_does_not_read_is_sent_away(stack: &Stack, http: &Http, tenant: &Tenant, neighbour: &Tenant) {
    let administrator = administrator(stack).await;
    let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    let sql = format!("select 'never-read', {ENDLESS}");
    stream.write_all(raw_request("1.1", tenant, &sql).as_bytes()).await.unwrap();
    assert_eq!(value(http, neighbour, "select 1").await, 1);
    wait_until("the client has lost its connection", async || {
        stack.metric("tenantry_gateway_http_connections_cut_total", &[]).await == 1.0
    })
    .await;
    wait_until("the statement is cancelled", async || running(&administrator, "never-read").await == 0).await;
    let mut said = Vec::new();
    // It ends, in whichever way, and not like a whole answer.
    let _ = stream.read_to_end(&mut said).await;
    assert!(!said.ends_with(b"0\r\n\r\n"));
}

async fn over_http2_the_first_loses_its_stream_only(stack: &Stack, tenant: &Tenant) {
    let stalled = "tenantry_gateway_http_stream_ends_total";
    let clients = async || stack.metric("tenantry_clients", &["acme"]).await;
    let before = stack.metric(stalled, &["end=\"stalled\""]).await;
    let mut sender = http2::connect(stack).await;
    let sql = format!("select 'never-read-2', {ENDLESS}");
    let unread = sender.send_request(request(tenant, &sql)).await.unwrap();
    wait_until("the stream is given up", async || stack.metric(stalled, &["end=\"stalled\""]).await > before)
        .await;
    let administrator = administrator(stack).await;
    wait_until("the statement is cancelled", async || running(&administrator, "never-read-2").await == 0)
        .await;
    let other =
        sender.send_request(request(tenant, "select 1")).await.expect("the connection's others go on");
    assert_eq!(other.status(), 200);
    drop(other);
    assert!(clients().await >= 1.0, "what it leaves unread counts as long as it is kept");
    let sql = format!("select 'never-read-3', {ENDLESS}");
    let second = sender.send_request(request(tenant, &sql)).await.unwrap();
    wait_until("a habit costs the connection", async || sender.is_closed()).await;
    wait_until("nothing is kept", async || clients().await == 0.0).await;
    drop((unread, second));
}

async fn a_body_that_never_ends_is_not_waited_for(stack: &Stack, tenant: &Tenant) {
    let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    let whole = raw_request("1.1", tenant, "select 1");
    // However it goes on: it has the time of one request.
    stream.write_all(&whole.as_bytes()[..whole.len() - 5]).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}

async fn who_takes_everything_back_is_sent_away(
    stack: &Stack,
    http: &Http,
    tenant: &Tenant,
    neighbour: &Tenant,
) {
    let mut sender = http2::connect(stack).await;
    for number in 0..RESETS {
        if number % RESETS_BETWEEN == 0 {
            assert_eq!(value(http, neighbour, "select 1").await, 1);
        }
        if sender.ready().await.is_err() {
            break;
        }
        let asked = sender.send_request(request(tenant, "select 'taken-back', pg_sleep(600)"));
        let asked = tokio::spawn(async move { drop(asked.await) });
        // So that it is sent before it is taken back.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        asked.abort();
    }
    wait_until("the connection has ended", async || sender.is_closed()).await;
    let administrator = administrator(stack).await;
    wait_until("nothing is left running", async || running(&administrator, "taken-back").await == 0).await;
    eventually("the tenant is served again", async || {
        let answered = http2::connect(stack).await.send_request(request(tenant, "select 1")).await.ok()?;
        (answered.status() == 200).then_some(())
    })
    .await;
}

/// A statement may raise what it likes, and its server connection is long somebody else's when the client hears of it.
#[tokio::test]
async fn an_error_that_is_not_read_counts_as_long_as_it_is_kept() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let raises = |bytes| {
        format!("do $$ begin raise exception '%', repeat('x', {bytes}) using errcode = 'AB123'; end $$")
    };
    let clients = async || stack.metric("tenantry_clients", &["acme"]).await;
    let mut sender = http2::connect(&stack).await;

    let unread = sender.send_request(request(&tenant, &raises(900_000))).await.unwrap();
    assert_eq!(unread.status(), 400);
    assert!(clients().await >= 1.0);
    let body = unread.into_body().collect().await.unwrap().to_bytes();
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&error["code"], error["message"].as_str().unwrap().len()), (&Value::from("AB123"), 900_000));
    wait_until("it counts no more", async || clients().await == 0.0).await;

    let too_large = sender.send_request(request(&tenant, &raises(1_100_000))).await.unwrap();
    assert_eq!(too_large.status(), 507);
    let body = too_large.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("an error or notice of the server"));
    assert_eq!(value(&Http::new(&stack), &tenant, "select 1").await, 1);
}

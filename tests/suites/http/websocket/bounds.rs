//! What is too much, and who is not there any more: nobody else is hurt.

use super::{all_at_once, connect, opened};
use crate::value;
use crate::{Http, administrator, running};
use futures_util::{SinkExt, StreamExt};
use harness::{Stack, wait_until};
use std::time::Duration;
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const UPGRADE: &[u8] = b"GET /v2 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A WebSocket whose frames are ours to write.
async fn raw(stack: &Stack) -> TcpStream {
    let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    stream.write_all(UPGRADE).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// All that is said until the connection ends.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "still open");
    said
}

#[tokio::test]
async fn frames_that_no_client_may_send_end_the_connection() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let client = connect(&stack, &tenant).await;
    for (frame, code) in [
        // Not masked.
        (&b"\x82\x01x"[..], 1002_u16),
        // With an extension that nobody agreed on.
        (b"\xc2\x80\0\0\0\0", 1002),
        // A ping in two parts.
        (b"\x09\x80\0\0\0\0", 1002),
        // Text.
        (b"\x81\x81\0\0\0\0x", 1003),
        // An exbibyte.
        (b"\x82\xff\x10\0\0\0\0\0\0\0\0\0\0\0", 1009),
    ] {
        let mut stream = raw(&stack).await;
        stream.write_all(frame).await.unwrap();
        let said = rest(stream).await;
        let [.., 0x88, 2, high, low] = said[..] else { panic!("{frame:02x?}: {said:02x?}") };
        assert_eq!(u16::from_be_bytes([high, low]), code, "{frame:02x?}");
    }
    client.batch_execute("select 1").await.unwrap();
}

#[tokio::test]
async fn before_a_login_little_is_taken_and_not_for_long() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.limits.startup_timeout_ms = 3_000);
    let stack = Stack::start_with(options).await;
    // Nothing, a frame that never comes, and a startup packet that is longer than any.
    let mut streams = Vec::new();
    for frame in
        [&b""[..], b"\x82\xff\0\0\0\0\x3f\xff\xff\xff\0\0\0\0\0", b"\x82\x84\0\0\0\0\x7f\xff\xff\xff"]
    {
        let mut stream = raw(&stack).await;
        stream.write_all(frame).await.unwrap();
        streams.push(stream);
    }
    // An upgrade that does not come to its end.
    let mut slow = TcpStream::connect(stack.addresses().http).await.unwrap();
    slow.write_all(&UPGRADE[..60]).await.unwrap();
    streams.push(slow);
    for stream in streams {
        rest(stream).await;
    }
    wait_until("nobody is left", async || stack.metric("tenantry_gateway_clients", &[]).await == 0.0).await;
}

#[tokio::test]
async fn a_flood_of_upgrades_takes_the_places_that_there_are() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.limits.client_limit = 8);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let client = connect(&stack, &tenant).await;
    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(raw(&stack).await);
    }
    let mut last = TcpStream::connect(stack.addresses().http).await.unwrap();
    let mut said = String::new();
    last.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    client.batch_execute("select 1").await.unwrap();
    drop(open);
    wait_until("there is room again", async || stack.metric("tenantry_gateway_clients", &[]).await == 1.0)
        .await;
}

/// Long enough for who is there to answer on a machine that has much else to do.
const PING_MS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn who_vanishes_without_a_word_is_missed() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.timeouts.websocket_ping_ms = PING_MS);
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let administrator = administrator(&stack).await;
    let (mut idle, mut at_work) = (opened(&stack).await, opened(&stack).await);
    // Somebody answers pings; these two are not polled any more, so that nobody does in their place.
    let answering = connect(&stack, &tenant).await;
    idle.send(all_at_once(user, "acme", &password, "select 1")).await.unwrap();
    at_work.send(all_at_once(user, "acme", &password, "select 'half-open', pg_sleep(600)")).await.unwrap();
    wait_until("the statement ends with its client", async || {
        stack.metric("tenantry_gateway_clients", &[]).await == 1.0
            && running(&administrator, "half-open").await == 0
    })
    .await;
    answering.batch_execute("select 1").await.unwrap();
    drop((idle, at_work));
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_by_one_pong_at_a_time() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let (config, password) = (tenant.config(), tenant.password());
    let user = config.get_user().unwrap();
    let mut socket = opened(&stack).await;
    socket.send(all_at_once(user, "acme", &password, "select 'done' as t")).await.unwrap();
    for number in 0..20_000_u32 {
        socket.feed(Message::Ping(number.to_be_bytes().to_vec().into())).await.unwrap();
    }
    socket.flush().await.unwrap();
    let mut last = None;
    while last != Some(19_999) {
        if let Message::Pong(bytes) = socket.next().await.unwrap().unwrap() {
            last = Some(u32::from_be_bytes(bytes[..].try_into().unwrap()));
        }
    }
    assert_eq!(value(&Http::new(&stack), &tenant, "select 1").await, 1);
}

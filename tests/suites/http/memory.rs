//! What clients can have a gateway keep in memory, whatever they ask for and however they behave: the gateway is a process of
//! its own here, and the kernel tells how large it ever was.

use super::http2::{self, request};
use super::streaming::{ENDLESS, raw_request};
use super::websocket::opened;
use super::{Http, value};
use bytes::Bytes;
use futures_util::stream;
use harness::{ChildProcess, DEADLINE, Stack, Tenant, wait_until};
use serde_json::json;
use std::io;
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// By how much the gateway may have grown in the end: a fraction of what any of this would take if it were kept.
const GROWTH_MAX: u64 = 128 << 20;

/// Rows of a thousand bytes: two hundred megabytes.
const ROWS: usize = 200_000;

/// Results that nobody reads, by each version of HTTP.
const UNREAD: usize = 8;

const BODY_BYTES_MAX: usize = 1 << 20;

/// How large bodies are that are sent.
const BODY_PIECES: usize = 64;
const BODY_PIECE: Bytes = Bytes::from_static(&[b' '; BODY_BYTES_MAX]);

/// Frames of WebSockets of which all but the last byte comes.
const HALF_FRAMES: usize = 16;

/// Requests that a client takes back as fast as it sends them, on each of some connections.
const RESETS: u32 = 5_000;
const RESETTERS: usize = 8;

/// The most that the process ever had, bytes.
fn peak(process: &ChildProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_makes_the_gateway_grow() {
    let options = StackOptions::ephemeral().gateway(|gateway| {
        gateway.http.stall_timeout_ms = 3_600_000;
        gateway.limits.http_body_bytes_max = BODY_BYTES_MAX;
    });
    let mut stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let neighbour = stack.create_tenant("neighbour", "eu").await;
    let process = stack.gateway_as_process("").await;
    let http = Http::new(&stack);
    for tenant in [&tenant, &neighbour] {
        assert_eq!(value(&http, tenant, "select 1").await, 1);
    }
    let before = peak(&process);
    let check = async |what: &str| {
        let grown = peak(&process) - before;
        assert!(grown < GROWTH_MAX, "{what}: the gateway has grown by {grown} bytes");
        assert_eq!(value(&http, &neighbour, "select 1").await, 1, "{what}");
    };

    a_large_result(&http, &tenant).await;
    check("a large result").await;
    let unread = results_that_nobody_reads(&stack, &tenant).await;
    check("results that nobody reads").await;
    drop(unread);
    large_bodies(&stack, &http, &tenant).await;
    check("large bodies").await;
    let half = half_frames(&stack).await;
    check("half frames").await;
    drop(half);
    for _ in 0..RESETTERS {
        rapid_reset(&stack, &tenant).await;
    }
    check("requests that are taken back").await;
    stack.stop().await;
}

async fn a_large_result(http: &Http, tenant: &Tenant) {
    let sql = format!("select repeat('x', 1000) from generate_series(1, {ROWS})");
    let mut response = http.with_key(tenant, &json!({ "query": sql })).send().await.unwrap();
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        bytes += piece.len();
    }
    assert!(bytes > 1_000 * ROWS);
}

async fn results_that_nobody_reads(stack: &Stack, tenant: &Tenant) -> impl Sized {
    let mut by_http_1 = Vec::new();
    let mut by_http_2 = Vec::new();
    let sql = format!("select {ENDLESS}");
    for _ in 0..UNREAD {
        let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
        stream.write_all(raw_request("1.1", tenant, &sql).as_bytes()).await.unwrap();
        by_http_1.push(stream);
        let mut sender = http2::connect(stack).await;
        let response = sender.send_request(request(tenant, &sql)).await.unwrap();
        by_http_2.push((sender, response));
    }
    let all = f64::from(u32::try_from(2 * UNREAD).unwrap());
    wait_until("all stream", async || stack.metric("tenantry_gateway_http_streams", &[]).await == all).await;
    (by_http_1, by_http_2)
}

async fn large_bodies(stack: &Stack, http: &Http, tenant: &Tenant) {
    let mut announced = TcpStream::connect(stack.addresses().http).await.unwrap();
    let head = raw_request("1.1", tenant, "").replace("content-length: ", "content-length: 9999999999");
    announced.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    announced.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413", "before it is sent");
    let pieces = || stream::iter((0..BODY_PIECES).map(|_| Ok::<_, io::Error>(BODY_PIECE)));
    let all = (0..UNREAD)
        .map(|_| http.with_key(tenant, &json!({})).body(reqwest::Body::wrap_stream(pieces())).send());
    // Who goes on sending for long after the answer loses the connection, and maybe the answer with it.
    for answered in futures_util::future::join_all(all).await.into_iter().flatten() {
        assert_eq!(answered.status(), 413);
    }
}

/// Frames of a gigabyte from strangers, of which the first megabyte comes.
async fn half_frames(stack: &Stack) -> impl Sized {
    let mut sockets = Vec::new();
    for _ in 0..HALF_FRAMES {
        let mut socket = opened(stack).await;
        let stream = socket.get_mut();
        stream.write_all(b"\x82\xff\0\0\0\0\x3f\xff\xff\xff\0\0\0\0").await.unwrap();
        // It may have heard enough by then.
        let _ = timeout(DEADLINE, stream.write_all(&BODY_PIECE)).await.expect("it is read or refused");
        sockets.push(socket);
    }
    sockets
}

/// CVE-2023-44487: each request is taken back as soon as it is sent. The connection ends.
async fn rapid_reset(stack: &Stack, tenant: &Tenant) {
    let mut stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    let headers = header_block(tenant);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    for request in 0..RESETS {
        let stream = 2 * request + 1;
        frame(&mut bytes, 1, 4, stream, &headers);
        frame(&mut bytes, 3, 0, stream, &8_u32.to_be_bytes());
    }
    let (mut reader, mut writer) = stream.split();
    let ended = async {
        // Either side may end first.
        let write = async {
            let _ = writer.write_all(&bytes).await;
        };
        let read = async {
            let mut said = Vec::new();
            let _ = reader.read_to_end(&mut said).await;
        };
        tokio::join!(write, read)
    };
    timeout(DEADLINE, ended).await.expect("the connection ends");
}

/// RFC 9113 §4.1. `kind` 1 is HEADERS, whose flag 4 ends them, 3 is RST_STREAM and 4 is SETTINGS.
fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// `POST http:/sql` of the tenant, by RFC 7541 §6: indices of its static table, and literals that are not to be kept.
fn header_block(tenant: &Tenant) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let key = format!("Bearer {}", tenant.api_key);
    for (index, text) in [(&[0x04][..], "/sql"), (&[0x01], "localhost"), (&[0x0f, 0x08], &key)] {
        block.extend_from_slice(index);
        block.push(u8::try_from(text.len()).ok().filter(|length| *length < 0x7f).expect("a short text"));
        block.extend_from_slice(text.as_bytes());
    }
    block
}

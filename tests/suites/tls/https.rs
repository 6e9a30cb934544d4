//! TLS on the HTTP listener.

use crate::{STACK, WORLD, address, tls};
use bytes::Bytes;
use harness::{Stack, Tenant};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

fn http_address(stack: &Stack) -> SocketAddr {
    let url = &stack.descriptor().gateway.http;
    url.trim_start_matches("http://").parse().expect("an address")
}

async fn connected(protocol: &str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(http_address(&STACK)).await.expect("it listens");
    let stream = tls().alpn(&[protocol]).over(stream).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    stream
}

fn request(tenant: &Tenant) -> Request<Full<Bytes>> {
    Request::post("https://db.example.com/sql")
        .header("host", "db.example.com")
        .header("authorization", format!("Bearer {}", tenant.api_key))
        .body(Full::from(r#"{"query": "select 'over TLS' as answer", "params": []}"#))
        .expect("a request")
}

async fn is_answered(answer: hyper::Response<hyper::body::Incoming>) {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert_eq!(head.status, 200, "{body}");
    assert!(body.contains("over TLS"), "{body}");
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let tenant = STACK.create_tenant("https", "eu").await;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connected("http/1.1").await)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    is_answered(sender.send_request(request(&tenant)).await.expect("an answer")).await;

    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(connected("h2").await)).await.expect("HTTP/2");
    tokio::spawn(connection);
    is_answered(sender.send_request(request(&tenant)).await.expect("an answer")).await;
}

#[tokio::test]
async fn the_same_port_serves_both_where_that_is_allowed() {
    let tenant = STACK.create_tenant("https-and-http", "eu").await;
    let (status, body) = STACK.http_query(&tenant, "select 1 as one", &[]).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn neither_listener_takes_the_others_clients() {
    let stream = TcpStream::connect(http_address(&STACK)).await.expect("it listens");
    assert!(tls().alpn(&["postgresql"]).over(stream).await.is_err());
    let stream = TcpStream::connect(address(&STACK)).await.expect("it listens");
    assert!(tls().alpn(&["h2", "http/1.1"]).over(stream).await.is_err());
}

#[tokio::test]
async fn the_name_chooses_the_certificate_here_too() {
    let stream = TcpStream::connect(http_address(&STACK)).await.expect("it listens");
    let stream = tls().named("own.db.example.com").over(stream).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.peer_certificates().expect("a certificate")[0].as_ref(), WORLD.own.der);
}

//! How a connection becomes encrypted, and how it does not.

use crate::client::{ask, login};
use crate::{STACK, address, startup, tls};
use harness::eventually;
use harness::wire::WireClient;
use pgwire::frontend::write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_client_may_ask_for_tls_or_begin_with_it() {
    let tenant = STACK.create_tenant("handshakes", "eu").await;
    let (address, tls) = (address(&STACK), tls());
    let mut asked = tls.request(address).await.expect("TLS by request");
    login(&mut asked, &startup(&tenant), &tenant.password()).await.expect("let in");
    assert_eq!(asked.value("select 'by request'").await, "by request");

    let direct = tls.alpn(&["h2", "postgresql"]);
    let mut direct = direct.direct(address).await.expect("direct TLS");
    assert_eq!(direct.stream().get_ref().1.alpn_protocol(), Some(&b"postgresql"[..]));
    login(&mut direct, &startup(&tenant), &tenant.password()).await.expect("let in");
    assert_eq!(direct.value("select 'from the start'").await, "from the start");

    let mut old = tls.clone();
    old.only_tls12 = true;
    let mut old = old.request(address).await.expect("TLS 1.2");
    login(&mut old, &startup(&tenant), &tenant.password()).await.expect("let in");
}

#[tokio::test]
async fn direct_tls_has_to_name_the_protocol() {
    let (address, tls) = (address(&STACK), tls());
    assert!(tls.direct(address).await.is_err(), "no protocol is named");
    assert!(tls.alpn(&["http/1.1"]).direct(address).await.is_err(), "another protocol is named");
    assert!(tls.alpn(&["http/1.1"]).request(address).await.is_err(), "another protocol is named");
    tls.alpn(&["postgresql"]).request(address).await.expect("it may be named after a request too");
}

#[tokio::test]
async fn gssapi_is_declined_and_tls_may_follow() {
    let tenant = STACK.create_tenant("declined", "eu").await;
    let mut stream = TcpStream::connect(address(&STACK)).await.expect("it listens");
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]).await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'N');
    let mut request = Vec::new();
    write::ssl_request(&mut request);
    stream.write_all(&request).await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'S');
    let mut client = WireClient::over(tls().over(stream).await.expect("a handshake"));
    login(&mut client, &startup(&tenant), &tenant.password()).await.expect("let in");
}

#[tokio::test]
async fn plaintext_behind_an_encryption_request_ends_the_connection() {
    let tenant = STACK.create_tenant("stuffing", "eu").await;
    for code in [0x2f, 0x30] {
        let mut stuffed = vec![0, 0, 0, 8, 0x04, 0xd2, 0x16, code];
        write::startup(&mut stuffed, startup(&tenant)).expect("it fits");
        let mut client = WireClient::over(TcpStream::connect(address(&STACK)).await.expect("it listens"));
        client.send(&stuffed).await.expect("sent");
        let error = client.message().await.expect("an error before any encryption");
        assert_eq!(error.sqlstate(), "08P01");
        assert!(error.text().contains("unencrypted data"), "{}", error.text());
        assert!(client.until_end().await.expect("the end").is_empty());
    }
}

#[tokio::test]
async fn plaintext_in_place_of_a_handshake_is_never_taken_for_a_packet() {
    let tenant = STACK.create_tenant("injected", "eu").await;
    let mut stream = ask(address(&STACK)).await.expect("it agrees");
    let mut packet = Vec::new();
    write::startup(&mut packet, startup(&tenant)).expect("it fits");
    stream.write_all(&packet).await.expect("sent");
    let mut answer = Vec::new();
    // An alert of TLS, or just the end; a login has not begun.
    let _ = stream.read_to_end(&mut answer).await;
    assert_ne!(answer.first(), Some(&b'R'), "{answer:?}");
}

#[tokio::test]
async fn encryption_is_asked_for_once() {
    let mut request = Vec::new();
    write::ssl_request(&mut request);
    let mut client = tls().request(address(&STACK)).await.expect("TLS");
    client.send(&request).await.expect("sent");
    let error = client.message().await.expect("an error inside of TLS");
    assert_eq!(error.sqlstate(), "08P01");
}

#[tokio::test]
async fn handshakes_are_counted() {
    let failed = async || STACK.metric("tenantry_tls_handshakes_total", &["result=\"failed\""]).await;
    let before = failed().await;
    let stranger = crate::certs::Authority::new("a stranger");
    let distrusting = crate::client::Tls::new(&stranger.pem(), crate::DOMAIN);
    assert!(distrusting.request(address(&STACK)).await.is_err());
    eventually("the failure is counted", async || (failed().await > before).then_some(())).await;
}

/// Passes on one byte at a time, in both directions.
struct Trickle<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Trickle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Trickle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn records_may_arrive_byte_by_byte() {
    let tenant = STACK.create_tenant("trickling", "eu").await;
    let stream = ask(address(&STACK)).await.expect("it agrees");
    // Each byte is a packet of its own.
    stream.set_nodelay(true).expect("it is open");
    let stream = tls().over(Trickle(stream)).await.expect("a handshake");
    let mut client = WireClient::over(stream);
    client.startup(&startup(&tenant)).await.expect("sent");
    // Not bound: the client's helper for that knows plain sockets only, and this one says so.
    client.authenticate(tenant.password().as_bytes()).await.expect("let in");
    client.greeting().await.expect("a greeting");
    assert_eq!(client.value("select repeat('x', 3)").await, "xxx");
    let long = client.value("select repeat('y', 100000)").await;
    assert_eq!(long.len(), 100_000);
}

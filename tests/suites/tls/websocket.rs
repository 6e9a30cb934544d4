//! PostgreSQL's protocol on the HTTP listener, beside a PostgreSQL listener that demands TLS: there is no way around that.

use crate::WORLD;
use config::{ClientAuth, TlsConfig, TlsListenerMode};
use futures_util::{SinkExt, StreamExt};
use harness::Stack;
use pgwire::frontend::write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tenantry::dev::StackOptions;
use tokio::net::TcpSocket;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The proxy that the gateway trusts.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

const ELSEWHERE: (&str, &str) = ("x-forwarded-for", "198.51.100.7");

/// A gateway whose HTTP listener is in clear.
async fn start(client_auth: ClientAuth) -> Stack {
    let files = &WORLD.files;
    let tls = TlsConfig {
        mode: TlsListenerMode::Require,
        http_mode: TlsListenerMode::Disable,
        certificates: vec![files.write_pair("websocket", &WORLD.main)],
        client_ca_file: Some(files.path("clients-ca.crt")),
        client_auth,
        ..TlsConfig::default()
    };
    let options = StackOptions::ephemeral().gateway(move |gateway| {
        gateway.tls = tls.clone();
        gateway.listen.trusted_proxies = vec![IpAddr::from(PROXY).into()];
    });
    Stack::start_with(options).await
}

/// What a client is told first that comes from there, with these headers.
async fn first_words(stack: &Stack, from: Ipv4Addr, headers: &[(&'static str, &str)]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("all of 127.0.0.0/8 is this machine");
    let address: SocketAddr = stack.descriptor().gateway.http["http://".len()..].parse().expect("an address");
    let stream = socket.connect(address).await.expect("it listens");
    let mut request = format!("ws://{address}/v2").into_client_request().expect("an address");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    let mut socket = client_async(request, stream).await.expect("an upgrade").0;
    let mut startup = Vec::new();
    write::startup(&mut startup, [("user", "app"), ("database", "nowhere")]).expect("it fits");
    socket.send(Message::binary(startup)).await.expect("it is taken");
    socket.next().await.expect("it is told").expect("a frame").into_data().to_vec()
}

fn is_refused(said: &[u8], why: &str) -> bool {
    let said = String::from_utf8_lossy(said);
    said.starts_with('E') && said.contains("28000") && said.contains(why)
}

#[tokio::test]
async fn who_comes_in_clear_from_elsewhere_is_refused_there_too() {
    let stack = start(ClientAuth::None).await;
    let said = first_words(&stack, PROXY, &[ELSEWHERE]).await;
    assert!(is_refused(&said, "without TLS"), "{}", String::from_utf8_lossy(&said));
    let https = [ELSEWHERE, ("x-forwarded-proto", "https")];
    for (from, headers) in [(PROXY, &https[..]), (Ipv4Addr::LOCALHOST, &[])] {
        let said = first_words(&stack, from, headers).await;
        assert!(said.starts_with(b"R"), "asked for the password: {}", String::from_utf8_lossy(&said));
    }
}

#[tokio::test]
async fn a_certificate_that_is_required_is_required_there_too() {
    let stack = start(ClientAuth::Required).await;
    let said = first_words(&stack, Ipv4Addr::LOCALHOST, &[]).await;
    assert!(is_refused(&said, "client certificate"), "{}", String::from_utf8_lossy(&said));
}

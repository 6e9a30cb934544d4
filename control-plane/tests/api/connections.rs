//! Connections to the API: nobody has all of them.

use crate::fixture::{Plane, eventually};
use config::ControlPlaneConfig;
use control_plane::failpoint::NoFailpoints;
use reqwest::{Method, Url};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: api\r\n\r\n";

/// As many as one address may have.
const OF_ONE_MAX: usize = 24;

async fn plane(adapt: impl FnOnce(&mut ControlPlaneConfig)) -> Plane {
    Plane::start_adapted(Arc::new(NoFailpoints), reqwest::Client::new(), |config| {
        config.limits.connections_per_address = OF_ONE_MAX;
        adapt(config);
    })
    .await
}

/// A connection from `source`, with one request answered, which then stays open. None if it was closed instead.
async fn open(plane: &Plane, source: &str) -> Option<std::net::TcpStream> {
    let url: Url = plane.get("/healthz").build().unwrap().url().clone();
    let address = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let stream: TcpStream = socket.connect(address).await.unwrap();
    let mut stream = stream.into_std().unwrap();
    tokio::task::spawn_blocking(move || {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0; 12];
        stream.write_all(REQUEST).ok()?;
        stream.read_exact(&mut answer).ok()?;
        assert_eq!(&answer, b"HTTP/1.1 200");
        Some(stream)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_keep_the_others_out() {
    let plane = plane(|_| {}).await;
    let mut held = Vec::new();
    while let Some(stream) = open(&plane, "127.0.0.2").await {
        held.push(stream);
        assert!(held.len() <= OF_ONE_MAX);
    }
    assert_eq!(held.len(), OF_ONE_MAX);
    assert!(open(&plane, "127.0.0.3").await.is_some(), "another address has its own");
    let metrics = plane.expect(200, plane.anonymous("/metrics")).await;
    assert!(metrics.as_str().unwrap().contains("connections_refused_total 1"));
    held.pop();
    eventually("the room that one left", async || open(&plane, "127.0.0.2").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_has_as_many_as_come_through_it() {
    let plane = plane(|config| config.trusted_proxies = vec!["127.0.0.2/32".parse().unwrap()]).await;
    let mut held = Vec::new();
    for _ in 0..=OF_ONE_MAX {
        held.push(open(&plane, "127.0.0.2").await.expect("a proxy is many"));
    }
    while let Some(stream) = open(&plane, "127.0.0.3").await {
        held.push(stream);
        assert!(held.len() <= 2 * OF_ONE_MAX + 1, "others have their bound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own_attempts() {
    let plane = plane(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.limits.wrong_tokens_per_minute = 1;
    })
    .await;
    let wrong = |client: &'static str| {
        plane.bare(Method::GET, "/v1/tenants").bearer_auth("x").header("x-forwarded-for", client)
    };
    assert_eq!(plane.refused(wrong("192.0.2.7")).await, "unauthorized");
    assert_eq!(plane.refused(wrong("192.0.2.7")).await, "too-many-wrong-tokens");
    assert_eq!(
        plane.refused(wrong("198.51.100.1, 192.0.2.7")).await,
        "too-many-wrong-tokens",
        "what a client says itself"
    );
    assert_eq!(plane.refused(wrong("192.0.2.8")).await, "unauthorized");
    let both = || wrong("192.0.2.9").header("forwarded", "for=192.0.2.10");
    assert_eq!(plane.refused(both()).await, "invalid-header");
    let answer = plane.send(both()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["hint"].as_str().unwrap().contains("the proxy"), "{answer:?}");
    assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
}

/// Whoever is not trusted says nothing of where they are.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed_where_a_request_comes_from() {
    let plane = plane(|config| config.limits.wrong_tokens_per_minute = 1).await;
    let wrong = |client: &'static str| {
        plane.bare(Method::GET, "/v1/tenants").bearer_auth("x").header("x-forwarded-for", client)
    };
    assert_eq!(plane.refused(wrong("192.0.2.7")).await, "unauthorized");
    assert_eq!(plane.refused(wrong("192.0.2.8")).await, "too-many-wrong-tokens");
}

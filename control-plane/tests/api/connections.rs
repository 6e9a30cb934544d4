//! Connections to the API: nobody has all of them.

use crate::fixture::{Plane, eventually};
use reqwest::Url;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: api\r\n\r\n";

/// As many as one address may have.
const OF_ONE_MAX: usize = 128;

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
    let plane = Plane::start_empty(std::sync::Arc::new(control_plane::failpoint::NoFailpoints)).await;
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

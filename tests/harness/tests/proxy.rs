//! The fault proxy does to connections what it says.

use harness::{Direction, End, Fault, FaultProxy};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers every byte with the same byte, and the end with a farewell.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.write_all(b"bye").await;
            });
        }
    });
    address
}

async fn proxied() -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start(echo().await).await;
    let stream = TcpStream::connect(proxy.address()).await.expect("the proxy listens");
    proxy.await_open(1).await;
    (proxy, stream)
}

async fn rest(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map(|_| bytes).map_err(|error| error.kind())
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let (proxy, mut stream) = proxied().await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"hellobye");
    proxy.await_open(0).await;
}

#[tokio::test]
async fn latency_delays_and_loses_nothing() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Direction::ToTarget, Fault::Latency(Duration::from_millis(30)));
    proxy.set(Direction::FromTarget, Fault::Slices(1));
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"hellobye");
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes() {
    for (end, expected) in [(End::Close, Ok(b"he".to_vec())), (End::Reset, Err(ErrorKind::ConnectionReset))] {
        let (proxy, mut stream) = proxied().await;
        proxy.set(Direction::FromTarget, Fault::After(2, end));
        stream.write_all(b"hello").await.unwrap();
        let mut seen = [0; 2];
        if end == End::Reset {
            stream.read_exact(&mut seen).await.unwrap();
        }
        assert_eq!(rest(&mut stream).await, expected, "{end:?}");
        proxy.await_open(0).await;
    }
}

#[tokio::test]
async fn half_a_connection_can_end() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Direction::ToTarget, Fault::After(2, End::HalfClose));
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap(), b"hebye");
}

#[tokio::test]
async fn a_black_hole_is_silent_until_it_is_ended() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Direction::FromTarget, Fault::After(0, End::BlackHole));
    stream.write_all(b"hello").await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
    assert!(silence.is_err());
    proxy.end_all(End::Close);
    proxy.await_open(0).await;
    proxy.set(Direction::FromTarget, Fault::None);
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    second.write_all(b"x").await.unwrap();
    assert_eq!(second.read_u8().await.unwrap(), b'x');
}

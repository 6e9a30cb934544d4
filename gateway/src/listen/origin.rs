//! Where a connection comes from: its socket's other end, or the client that a trusted proxy names.
//!
//! A trusted proxy that is to speak the PROXY protocol and does not could be passing on a client that speaks it in its
//! place, the next time. So it has to, and is refused otherwise.

use config::{GatewayListen, ProxiedListener};
use net::ClientAddress;
use net::proxy_protocol::{self, Said};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client, as far as is known.
    pub(super) client: ClientAddress,
    /// A trusted proxy has passed it on without a word. It may ask for no session.
    pub(super) is_unnamed: bool,
}

/// Finds out, by the PROXY protocol where it is to be spoken. Nothing was read from the stream before, and the caller
/// bounds the time.
///
/// # Errors
/// The proxy breaks off, or breaks the PROXY protocol.
pub(super) async fn of(
    stream: &mut TcpStream,
    peer: SocketAddr,
    listen: &GatewayListen,
    listener: ProxiedListener,
) -> io::Result<Origin> {
    let client = ClientAddress::from(peer);
    if !listen.proxy_protocol.contains(&listener) || !listen.trusts(client.ip()) {
        return Ok(Origin { client, is_unnamed: false });
    }
    Ok(match proxy_protocol::read(stream, peer).await? {
        Said::Client(client) => Origin { client, is_unnamed: false },
        Said::Own => Origin { client, is_unnamed: false },
        Said::Nothing => Origin { client, is_unnamed: true },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\0\x05\0\x06";

    /// Where a connection of this machine's is found to come from.
    async fn origin(bytes: &[u8], trusted: &str) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut proxy = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        proxy.write_all(bytes).await.expect("it is read");
        let (mut stream, peer) = listener.accept().await.expect("it was dialled");
        let trusted_proxies = vec![trusted.parse().expect("a range")];
        let listen = GatewayListen { trusted_proxies, ..GatewayListen::default() };
        of(&mut stream, peer, &listen, ProxiedListener::Pg).await.expect("a good header or none")
    }

    #[tokio::test]
    async fn a_trusted_proxy_names_the_client_and_nobody_else_does() {
        let named = origin(HEADER, "127.0.0.0/8").await;
        assert_eq!((named.client.to_string().as_str(), named.is_unnamed), ("192.0.2.7:5", false));
        let unnamed = origin(b"\0\0\0\x08", "127.0.0.0/8").await;
        assert!(unnamed.is_unnamed && unnamed.client.is_local());
        let stranger = origin(HEADER, "10.0.0.0/8").await;
        assert!(!stranger.is_unnamed && stranger.client.is_local());
    }
}

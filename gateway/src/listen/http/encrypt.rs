//! TLS on the HTTP listener. One port serves both kinds while the settings allow it: a client's first byte tells
//! which it speaks.

use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::tls::Acceptor;
use crate::tls::acceptor::Inside;
use config::TlsListenerMode;
use net::ClientAddress;
use pgwire::startup::is_direct_tls;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Said to a client that speaks HTTP where only HTTPS is served.
const NOT_IN_CLEAR: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 28\r\n\r\nthis port is served by HTTPS";

/// Encrypts a client's connection if that is what it begins with, within the time for logging in. `None`: it is not
/// served.
pub(super) async fn begin(stream: TcpStream, peer: ClientAddress, shared: &Shared) -> Option<ClientStream> {
    let mode = shared.config.tls.http_mode;
    let Some(tls) = shared.tls.as_ref().filter(|_| mode != TlsListenerMode::Disable) else {
        return Some(ClientStream::Plain(stream));
    };
    let begun = timeout(shared.config.limits.startup_timeout(), negotiate(stream, tls, mode));
    match begun.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::info!(%peer, %error, "a TLS handshake of an HTTP client failed");
            None
        }
    }
}

async fn negotiate(
    mut stream: TcpStream,
    tls: &Acceptor,
    mode: TlsListenerMode,
) -> io::Result<Option<ClientStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if is_direct_tls(first[0]) {
        let (stream, _facts) = tls.accept(stream, Inside::Http).await?;
        return Ok(Some(stream));
    }
    if mode == TlsListenerMode::Require {
        stream.write_all(NOT_IN_CLEAR).await?;
        stream.shutdown().await?;
        return Ok(None);
    }
    Ok(Some(ClientStream::Plain(stream)))
}

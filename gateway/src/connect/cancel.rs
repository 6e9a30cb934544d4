//! Cancel requests to servers.

use super::{ConnectError, encrypt};
use crate::stream::ServerStream;
use crate::tls::ServerTls;
use pgwire::CancelKey;
use pgwire::frontend::write;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where a cancel request for a connection goes, its key, and how it is kept from others' eyes: as the connection
/// itself was, for whoever reads the key can cancel too.
#[derive(Clone)]
pub struct CancelTarget {
    address: SocketAddr,
    key: CancelKey,
    tls: Option<Arc<ServerTls>>,
}

impl CancelTarget {
    /// For a connection to this address that was given this key.
    #[must_use]
    pub fn new(address: SocketAddr, key: CancelKey, tls: Option<Arc<ServerTls>>) -> Self {
        Self { address, key, tls }
    }

    /// Where it goes.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection's key.
    #[must_use]
    pub fn key(&self) -> CancelKey {
        self.key
    }
}

/// A server gives each of its connections a key of its own.
impl PartialEq for CancelTarget {
    fn eq(&self, other: &Self) -> bool {
        (self.address, self.key) == (other.address, other.key)
    }
}

impl Eq for CancelTarget {}

impl fmt::Debug for CancelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelTarget").field(&self.address).finish_non_exhaustive()
    }
}

/// Asks a server to cancel what the connection is doing, and waits until it has acted: it closes the request's
/// connection only after it has signalled the backend
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS>).
///
/// # Errors
/// The server cannot be reached, or not in the way that the connection was.
pub async fn send(target: &CancelTarget) -> Result<(), ConnectError> {
    let mut request = Vec::with_capacity(16);
    write::cancel_request(&mut request, target.key);
    let mut stream = TcpStream::connect(target.address).await?;
    let mut stream = match &target.tls {
        None => ServerStream::Plain(stream),
        Some(tls) => {
            encrypt::ask(&mut stream).await?;
            tls.secure(stream).await.map_err(ConnectError::Tls)?
        }
    };
    stream.write_all(&request).await?;
    stream.flush().await?;
    read_to_end(&mut stream).await;
    Ok(())
}

/// Reads and forgets until the server closes its end.
pub(super) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) {
    let mut discarded = vec![0_u8; 8192];
    while matches!(stream.read(&mut discarded).await, Ok(1..)) {}
}

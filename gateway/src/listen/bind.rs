//! Listening sockets, and whether their ports are shared.

use super::group;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps for us while we accept others; it cuts this to `net.core.somaxconn`.
pub const BACKLOG: u32 = 4096;

/// May another process of the same user listen on the same port?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// No: who tries fails.
    Alone,
    /// Yes, if it says the same.
    Shared,
}

impl From<bool> for Sharing {
    fn from(is_shared: bool) -> Self {
        if is_shared { Self::Shared } else { Self::Alone }
    }
}

/// Listens. The kernel lets clients in from now on, and keeps them until they are accepted.
///
/// # Errors
/// The address is taken, or is none of this machine's.
pub fn listen_on(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    crate::socket::prepare(&socket)?;
    if sharing == Sharing::Shared {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    if sharing == Sharing::Shared {
        // What a predecessor's predecessor has told the group no longer holds.
        if let Err(error) = group::no_preference(&listener) {
            tracing::debug!(%error, "the kernel knows no programs for listeners that share a port");
        }
    }
    Ok(listener)
}

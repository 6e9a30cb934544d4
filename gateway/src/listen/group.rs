//! Listeners that share a port (SO_REUSEPORT), and how one of them leaves without losing anybody.
//!
//! A gateway takes another one's port over by listening on it as well, while the kernel deals connections out to
//! both. When a listening socket closes, the kernel resets what is in its queue and what is still shaking hands with
//! it (unless `net.ipv4.tcp_migrate_req` is 1). So a listener that leaves first has the kernel give everything new
//! to the others ([`steer`]), takes in what is on its way to it, and closes then.
//!
//! Only processes of the same user can share a port; which of its listeners a connection goes to is the kernel's
//! choice. So whoever can run a process as the gateway's user can take a part of its connections.

mod place;
mod steer;
mod turn;

pub use place::Place;
pub use steer::no_preference;
pub use turn::Turn;

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};

/// How long a handshake that has begun here may take to end. One whose last packet is lost is repeated after a second
/// (RFC 6298 §2), and then takes the way to the client and back once more.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// Has the kernel give new connections to the other listeners, and takes in those that are on their way here. `enter`
/// gets each. The listener can be closed then.
pub async fn leave(listener: &TcpListener, enter: &mut impl FnMut(TcpStream, SocketAddr)) {
    if let Err(reason) = steer::to_the_others(listener, enter).await {
        tracing::warn!(
            %reason,
            "the kernel cannot be had to give new connections to the other gateway only; some may be reset"
        );
    }
    // Whether or not it can: what has begun may end.
    take_in(listener, HANDSHAKE_MAX, enter).await;
}

/// Accepts for so long.
async fn take_in(listener: &TcpListener, time: Duration, enter: &mut impl FnMut(TcpStream, SocketAddr)) {
    let until = Instant::now() + time;
    while let Ok(accepted) = timeout_at(until, listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => enter(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "could not accept a client");
                tokio::time::sleep(super::door::ACCEPT_RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;

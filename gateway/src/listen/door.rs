//! A listening socket's life: open, perhaps handed over to another process, closed.
//!
//! It stays open while the gateway drains: whoever comes then hears why it is not served, in the words of its
//! protocol, rather than that nobody listens. Nobody who was let into the kernel's queue is forgotten there.

use super::{bind, group};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait when the process has no file descriptor left for another client.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What listeners are told when the gateway stops. Both end them.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Another process listens on the same ports by now: leave everything new to it, and serve what is on its way.
    pub hand_over: CancellationToken,
    /// Close.
    pub close: CancellationToken,
}

/// The connections of one listener.
#[derive(Debug, Clone, Default)]
pub struct Visitors {
    /// Those that are served. A drain waits for them.
    pub clients: TaskTracker,
    /// Those that came too late, and are told so.
    pub late: TaskTracker,
}

impl Visitors {
    /// Where one belongs that comes now.
    #[must_use]
    pub fn now(&self, drain: &CancellationToken) -> &TaskTracker {
        if drain.is_cancelled() { &self.late } else { &self.clients }
    }
}

/// Accepts until it is told to end. `enter` gets every connection.
pub(super) async fn run(
    listener: TcpListener,
    orders: &Orders,
    mut enter: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        let accepted = tokio::select! {
            () = orders.hand_over.cancelled() => {
                group::leave(&listener, &mut enter).await;
                break;
            }
            () = orders.close.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => enter(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "could not accept a client");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    empty(listener, &mut enter);
}

/// Takes in what is in the kernel's queue, which would be reset. Asks the kernel itself: tokio knows only of what it
/// has been told by its event loop.
fn empty(listener: TcpListener, enter: &mut impl FnMut(TcpStream, SocketAddr)) {
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..bind::BACKLOG {
        let Ok((stream, peer)) = listener.accept() else { return };
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            enter(stream, peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_in_the_queue_when_it_closes_is_let_in() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mut clients = Vec::new();
        for _ in 0..100 {
            clients.push(TcpStream::connect(address).await.expect("it listens"));
        }
        let orders = Orders::default();
        orders.close.cancel();
        let mut entered = Vec::new();
        run(listener, &orders, |stream, _| entered.push(stream)).await;
        assert_eq!(entered.len(), clients.len());
        TcpStream::connect(address).await.expect_err("it is closed");
    }
}

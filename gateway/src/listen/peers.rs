//! Where other gateways reach this one and no other, when it shares its port.
//!
//! A cancel request that is passed on has to arrive at the gateway whose key it carries. At a shared port the kernel
//! would choose. Nothing but cancel requests is taken here.

use super::negotiate;
use super::wire::ClientWire;
use crate::shared::Shared;
use crate::stream::ClientStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once. One more waits in the kernel's queue.
const AT_ONCE_MAX: usize = 256;

/// How long one may take: its request, and its way to the server.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How long requests that are under way get once the gateway ends. Whoever connects and says nothing holds up no exit.
const LAST_REQUESTS_MAX: Duration = Duration::from_secs(1);

/// Accepts until `stop` fires.
pub async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let (places, requests) = (Arc::new(Semaphore::new(AT_ONCE_MAX)), TaskTracker::new());
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                requests.spawn(serve(stream, peer, Arc::clone(&shared), place));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept another gateway's cancel request");
                tokio::time::sleep(super::door::ACCEPT_RETRY).await;
            }
        }
    }
    requests.close();
    let _ = timeout(LAST_REQUESTS_MAX, requests.wait()).await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, _place: OwnedSemaphorePermit) {
    let wire = ClientWire::new(ClientStream::Plain(stream), shared.config.limits.startup_bytes_max);
    // Whoever wants a session is at the wrong door.
    let _ = timeout(REQUEST_MAX, negotiate::startup(wire, peer.into(), &shared)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::shared;
    use tokio::time::Instant;

    /// Enough for the runtime to see who has connected. It is never idle meanwhile, so that no time passes.
    const LOOKS: usize = 1_000;

    #[tokio::test(start_paused = true)]
    async fn whoever_connects_and_says_nothing_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let silent = TcpStream::connect(listener.local_addr().expect("it is bound")).await;
        let (shared, stop) = (shared().await, CancellationToken::new());
        let started = Instant::now();
        let running = tokio::spawn(run(listener, shared, stop.clone()));
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.expect("it ends");
        let waited = started.elapsed().as_secs();
        assert_eq!(waited, LAST_REQUESTS_MAX.as_secs(), "it was waited for, but not for long");
        drop(silent);
    }
}

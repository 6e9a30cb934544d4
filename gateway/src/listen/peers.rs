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
    requests.wait().await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, _place: OwnedSemaphorePermit) {
    let wire = ClientWire::new(ClientStream::Plain(stream), shared.config.limits.startup_bytes_max);
    // Whoever wants a session is at the wrong door.
    let _ = timeout(REQUEST_MAX, negotiate::startup(wire, peer, &shared)).await;
}

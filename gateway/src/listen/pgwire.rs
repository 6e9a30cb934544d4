//! The PostgreSQL listener: from the first byte to the relay.

use super::wire::{ClientWire, WireError};
use crate::error::Refusal;
use crate::relay::session;
use crate::session::{Accepted, Admitted, Refused};
use crate::shared::Shared;
use crate::socket;
use crate::stream::ClientStream;
use pgwire::backend::write;
use pgwire::startup::{FirstPacket, Startup};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A client may ask for TLS and for GSSAPI encryption, each once, before its startup packet
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// We speak protocol 3.0.
const PROTOCOL_MINOR: u16 = 0;

/// What PostgreSQL answers to an encryption request it will not grant.
const NO_ENCRYPTION: &[u8] = b"N";

/// How long to wait when the process has no file descriptor left for another client.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Accepts until `stop` fires. Each client is a task of `clients`.
pub async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, clients: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                shared.usage.pg_connections.inc();
                let (cut_off, served) = (shared.cut_off.clone(), serve(stream, peer, Arc::clone(&shared)));
                clients.spawn(async move { cut_off.run_until_cancelled(served).await });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a client");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    if socket::prepare(&stream).is_err() {
        return;
    }
    let wire = ClientWire::new(ClientStream::Plain(stream), shared.config.limits.startup_bytes_max);
    let Ok(_place) = Arc::clone(&shared.client_places).try_acquire_owned() else {
        let refusal = Refusal::new(ErrorKind::ClientLimit, "sorry, too many clients already")
            .hint("the gateway's client_limit is reached; try again in a moment");
        shared.usage.refusals.refused(refusal.kind());
        return wire.refuse(&refusal).await;
    };
    let admitted = match timeout(shared.config.limits.startup_timeout(), enter(wire, peer, &shared)).await {
        Ok(Some(admitted)) => admitted,
        Ok(None) => return,
        Err(_elapsed) => {
            shared.usage.refusals.refused(ErrorKind::ClientTimeout);
            tracing::info!(%peer, "a client took too long to log in");
            return;
        }
    };
    let span = tracing::info_span!(
        "session", tenant.id = %admitted.tenant.id(), tenant.slug = %admitted.tenant.usage().label(), %peer
    );
    session::run(admitted, shared).instrument(span).await;
}

/// Takes a client through all stages up to admission. `None`: it was sent away, or has left.
async fn enter(mut wire: ClientWire, peer: SocketAddr, shared: &Arc<Shared>) -> Option<Admitted> {
    let startup = match negotiate(&mut wire, shared).await {
        Ok(startup) => startup?,
        Err(WireError::Gone) => return None,
        Err(WireError::Refused(refusal)) => {
            send_away(Refused { wire, refusal, tenant: None }, peer, shared).await;
            return None;
        }
    };
    if negotiate_version(&mut wire, &startup).await.is_err() {
        return None;
    }
    match advance(Accepted { wire, peer, startup }, shared).await {
        Ok(admitted) => Some(admitted),
        Err(refused) => {
            send_away(*refused, peer, shared).await;
            None
        }
    }
}

async fn advance(accepted: Accepted, shared: &Arc<Shared>) -> Result<Admitted, Box<Refused>> {
    accepted.resolve(shared).await?.authenticate(shared).await?.admit(shared)
}

/// Answers encryption and cancel requests. `None`: there will be no session.
async fn negotiate(wire: &mut ClientWire, shared: &Arc<Shared>) -> Result<Option<Startup>, WireError> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        match wire.first_packet().await? {
            FirstPacket::SslRequest | FirstPacket::GssEncRequest => {
                if !wire.is_drained() {
                    return Err(WireError::Refused(Refusal::protocol(
                        "received unencrypted data after an encryption request",
                    )));
                }
                wire.send(NO_ENCRYPTION).await?;
            }
            FirstPacket::Cancel(key) => {
                let known = shared.cancels.cancel(key).await;
                let counter = if known { &shared.usage.cancels_known } else { &shared.usage.cancels_unknown };
                counter.inc();
                return Ok(None);
            }
            FirstPacket::Startup(startup) => return Ok(Some(startup)),
        }
    }
    Err(WireError::Refused(Refusal::protocol("too many encryption requests")))
}

/// A client that asks for a newer minor version, or for extensions, is told what it will get instead
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, NegotiateProtocolVersion).
async fn negotiate_version(wire: &mut ClientWire, startup: &Startup) -> Result<(), WireError> {
    if startup.minor == 0 && startup.extensions().next().is_none() {
        return Ok(());
    }
    let mut answer = Vec::with_capacity(64);
    write::negotiate_protocol_version(&mut answer, PROTOCOL_MINOR, startup.extensions());
    wire.send(&answer).await
}

async fn send_away(refused: Refused, peer: SocketAddr, shared: &Shared) {
    let Refused { wire, refusal, tenant } = refused;
    match &tenant {
        Some(tenant) => tenant.usage().refused(refusal.kind()),
        None => shared.usage.refusals.refused(refusal.kind()),
    }
    tracing::info!(
        %peer, kind = refusal.kind().as_str(), tenant.id = tenant.map(|tenant| tenant.id().to_string()),
        "a client was refused"
    );
    wire.refuse(&refusal).await;
}

//! The PostgreSQL listener: from the first byte to the relay.

use super::door::{self, Orders, Visitors};
use super::negotiate;
use super::origin::Origin;
use super::wire::{ClientWire, WireError};
use crate::console::{self, Operator};
use crate::counted::Counted;
use crate::error::Refusal;
use crate::metrics::anomalies::Listener;
use crate::relay::session;
use crate::resolve::Claims;
use crate::session::{Accepted, Admitted, Refused};
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::summons::run_until;
use net::ClientAddress;
use pgwire::backend::write;
use pgwire::startup::Startup;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// We speak protocol 3.0.
const PROTOCOL_MINOR: u16 = 0;

/// How long a client that is logging in when the gateway begins to drain, or comes later, gets to do its part: some
/// round trips, two of them for TLS.
const LATE_LOGIN_MAX: Duration = Duration::from_secs(2);

/// How long a client that took too long to log in gets to take its last message. One that cannot be told, because
/// it does not read or is in the middle of a TLS handshake, is cut off then.
pub(super) const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Accepts until it is told to end.
pub async fn run(listener: TcpListener, shared: Arc<Shared>, orders: Orders, visitors: Visitors) {
    let enter = |stream, peer| {
        shared.usage.pg_connections.inc();
        let served = Arc::clone(&shared);
        let serve = move |stream| async move {
            run_until(served.cut_off.clone(), serve(stream, peer, served)).await;
        };
        // A client that has left already is nobody's loss.
        let _ = shared.workers.serve(visitors.now(&shared.drain), stream, serve);
    };
    door::run(listener, &orders, enter).await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let wire = ClientWire::new(ClientStream::Plain(stream), shared.config.limits.startup_bytes_max);
    let Ok(_place) = Arc::clone(&shared.client_places).try_acquire_owned() else {
        let refusal = Refusal::new(ErrorKind::ClientLimit, "sorry, too many clients already")
            .hint("the gateway's client_limit is reached; try again in a moment");
        shared.usage.refusals.refused(refusal.kind());
        return wire.refuse(&refusal).await;
    };
    let login = Counted::new(&shared.logins_under_way);
    let entered = Box::pin(enter_in_time(wire, peer, &shared)).await;
    drop(login);
    let admitted = match entered {
        Some(Entered::Client(admitted)) => admitted,
        Some(Entered::Operator(operator)) => return Box::pin(console::run(*operator, shared)).await,
        None => return,
    };
    session::run(admitted, shared).await;
}

/// Resolves when a login is not waited for any more, because the gateway drains.
pub(super) async fn too_late(shared: &Shared) {
    shared.drain.cancelled().await;
    tokio::time::sleep(LATE_LOGIN_MAX).await;
}

/// Who has logged in.
enum Entered {
    Client(Box<Admitted>),
    Operator(Box<Operator>),
}

/// [`enter`], within the time that there is for it.
async fn enter_in_time(wire: ClientWire, peer: SocketAddr, shared: &Arc<Shared>) -> Option<Entered> {
    let most = shared.config.limits.startup_timeout();
    let wire = wire.with_login_deadline(Instant::now() + most);
    let entered = tokio::select! {
        entered = timeout(most + LAST_WORDS_MAX, enter(wire, peer, shared)) => entered,
        () = too_late(shared) => return None,
    };
    entered.unwrap_or_else(|_elapsed| {
        took_too_long(peer.into(), shared);
        None
    })
}

/// A client could not even be told that it took too long.
pub(super) fn took_too_long(peer: ClientAddress, shared: &Shared) {
    shared.usage.refusals.refused(ErrorKind::LoginTimeout);
    tracing::info!(%peer, "a client took too long to log in");
}

/// Takes a client through all stages up to admission. `None`: it was sent away, or has left.
async fn enter(mut wire: ClientWire, peer: SocketAddr, shared: &Arc<Shared>) -> Option<Entered> {
    let Origin { client: peer, is_unnamed } = origin(&mut wire, peer, shared).await?;
    if let Err(refusal) = shared.addresses.connects(peer) {
        // Without a line in the log for each: whoever floods would write it.
        shared.usage.refusals.refused(refusal.kind());
        wire.refuse(&refusal).await;
        return None;
    }
    let (mut wire, startup) = match negotiate::startup(wire, peer, shared).await {
        Ok(begun) => begun?,
        Err(refused) => {
            send_away(*refused, peer, shared).await;
            return None;
        }
    };
    if is_unnamed {
        let refusal = Refusal::protocol("a trusted proxy must begin with the PROXY protocol, version 2")
            .hint("have it send the header, or leave pg out of the gateway's listen.proxy_protocol");
        send_away(Refused { wire, refusal, tenant: None }, peer, shared).await;
        return None;
    }
    if shared.drain.is_cancelled() {
        let refusal = Refusal::draining();
        send_away(Refused { wire, refusal, tenant: None }, peer, shared).await;
        return None;
    }
    if negotiate_version(&mut wire, &startup).await.is_err() {
        return None;
    }
    if console::login::is_meant(&startup) {
        return match console::login::enter(wire, peer, &startup, shared).await {
            Ok(operator) => Some(Entered::Operator(Box::new(operator))),
            Err(refused) => {
                let (wire, refusal) = *refused;
                send_away(Refused { wire, refusal, tenant: None }, peer, shared).await;
                None
            }
        };
    }
    let accepted = Accepted { wire, peer, startup, listener: Listener::Pg, claims: Claims::default() };
    match advance(accepted, shared).await {
        Ok(admitted) => Some(Entered::Client(Box::new(admitted))),
        Err(refused) => {
            send_away(*refused, peer, shared).await;
            None
        }
    }
}

/// `None`: what a proxy says of it cannot be read.
async fn origin(wire: &mut ClientWire, peer: SocketAddr, shared: &Shared) -> Option<Origin> {
    match wire.origin(peer, &shared.config.listen).await {
        Ok(origin) => Some(origin),
        Err(error) => {
            shared.usage.refusals.refused(ErrorKind::ProtocolViolation);
            tracing::info!(%peer, %error, "what a proxy says of its client cannot be read");
            None
        }
    }
}

pub(super) async fn advance(accepted: Accepted, shared: &Arc<Shared>) -> Result<Admitted, Box<Refused>> {
    accepted.resolve(shared).await?.authenticate(shared).await?.admit(shared)
}

/// A client that asks for a newer minor version, or for extensions, is told what it will get instead
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, NegotiateProtocolVersion).
pub(super) async fn negotiate_version(wire: &mut ClientWire, startup: &Startup) -> Result<(), WireError> {
    if startup.minor == 0 && startup.extensions().next().is_none() {
        return Ok(());
    }
    let mut answer = Vec::with_capacity(64);
    write::negotiate_protocol_version(&mut answer, PROTOCOL_MINOR, startup.extensions());
    wire.send(&answer).await
}

pub(super) async fn send_away(refused: Refused, peer: ClientAddress, shared: &Shared) {
    let Refused { wire, refusal, tenant } = refused;
    shared.addresses.refused_with(refusal.kind(), peer);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Every client has one for as long as it is connected.
    #[test]
    fn a_clients_task_is_small() {
        assert!(size_of_future(serve) <= 1024, "{} bytes", size_of_future(serve));
    }
}

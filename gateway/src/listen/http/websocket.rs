//! A client in a WebSocket: from the upgrade to the relay.

use crate::console::login;
use crate::counted::Counted;
use crate::error::Refusal;
use crate::http::websocket::Opening;
use crate::listen::negotiate;
use crate::listen::pgwire::{self, LAST_WORDS_MAX};
use crate::listen::wire::ClientWire;
use crate::metrics::anomalies::Listener;
use crate::relay::session;
use crate::resolve::claims::Claims;
use crate::session::{Accepted, Admitted, Refused};
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::websocket::WebSocket;
use ::pgwire::startup::Startup;
use config::{ClientAuth, TlsConfig, TlsListenerMode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use net::ClientAddress;
use std::sync::Arc;
use tenancy::ErrorKind;
use tokio::time::{Instant, timeout};

/// Serves the client until it leaves.
pub(super) async fn serve(opening: Opening, shared: Arc<Shared>) {
    let Opening { upgrade, peer, claims, is_behind_https } = opening;
    let Some(stream) = upgraded(upgrade, &shared).await else { return };
    let most = shared.config.limits.startup_timeout();
    let wire = ClientWire::new(stream, shared.config.limits.startup_bytes_max)
        .with_login_deadline(Instant::now() + most)
        .behind_https(is_behind_https);
    let login = Counted::new(&shared.logins_under_way);
    let entered = tokio::select! {
        entered = timeout(most + LAST_WORDS_MAX, enter(wire, peer, claims, &shared)) => entered,
        () = pgwire::too_late(&shared) => return,
    };
    drop(login);
    match entered {
        Ok(Some(admitted)) => session::run(admitted, shared).await,
        Ok(None) => {}
        Err(_elapsed) => pgwire::took_too_long(peer, &shared),
    }
}

/// The connection, once HTTP has ended on it. `None`: it is lost, or begins with what no client may send.
async fn upgraded(upgrade: hyper::upgrade::OnUpgrade, shared: &Shared) -> Option<ClientStream> {
    let parts = downcast::<TokioIo<ClientStream>>(upgrade.await.ok()?).ok()?;
    let silence = shared.config.timeouts.websocket_ping();
    let socket = WebSocket::new(parts.io.into_inner(), &parts.read_buf, silence);
    Some(ClientStream::WebSocket(Box::new(socket)))
}

/// As a client on the wire, except that HTTP has seen to encryption, and has said something of the tenant already.
async fn enter(
    wire: ClientWire,
    peer: ClientAddress,
    claims: Claims,
    shared: &Arc<Shared>,
) -> Option<Box<Admitted>> {
    let admitted = async {
        let Some((mut wire, startup)) = negotiate::startup_inside(wire, peer, shared).await? else {
            return Ok(None);
        };
        if let Some(refusal) = not_here(&startup, &wire, peer, shared) {
            return Err(Box::new(Refused { wire, refusal, tenant: None }));
        }
        if pgwire::negotiate_version(&mut wire, &startup).await.is_err() {
            return Ok(None);
        }
        let accepted = Accepted { wire, peer, startup, claims, listener: Listener::Http };
        pgwire::advance(accepted, shared).await.map(Some)
    };
    match admitted.await {
        Ok(admitted) => admitted.map(Box::new),
        Err(refused) => {
            pgwire::send_away(*refused, peer, shared).await;
            None
        }
    }
}

/// What PostgreSQL's listener requires of its clients is not to be had here for less.
fn in_clear(tls: &TlsConfig, wire: &ClientWire, peer: ClientAddress) -> Option<Refusal> {
    if tls.client_auth == ClientAuth::Required && !wire.is_encrypted() {
        return Some(
            Refusal::new(
                ErrorKind::TlsRequired,
                "connections without a client certificate are not served here",
            )
            .hint("connect by wss:// with a certificate, or to the gateway's PostgreSQL listener"),
        );
    }
    (tls.mode == TlsListenerMode::Require && !wire.is_private(peer)).then(|| {
        Refusal::new(ErrorKind::TlsRequired, "connections without TLS are not served here")
            .hint("connect by wss://")
    })
}

fn not_here(startup: &Startup, wire: &ClientWire, peer: ClientAddress, shared: &Shared) -> Option<Refusal> {
    if let Some(refusal) = in_clear(&shared.config.tls, wire, peer) {
        return Some(refusal);
    }
    if let Err(refusal) = shared.addresses.may_log_in(peer) {
        return Some(refusal);
    }
    if shared.drain.is_cancelled() {
        return Some(Refusal::draining());
    }
    login::is_meant(startup).then(|| {
        Refusal::new(ErrorKind::Unsupported, "the console is not served over WebSocket")
            .hint("connect to the gateway's PostgreSQL listener")
    })
}

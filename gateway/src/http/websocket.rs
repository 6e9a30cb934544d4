//! `GET /v2`: the request that opens a WebSocket. What the request says of its tenant goes along; who the client is
//! shows only inside, where it logs in as on the wire.

use super::failure::Failure;
use super::origin;
use super::reply::{self, Reply};
use crate::error::Refusal;
use crate::resolve::Claims;
use crate::resolve::host::{Hosts, without_port};
use crate::resolve::request::RequestNames;
use crate::shared::Shared;
use crate::websocket::handshake::{self, NoUpgrade};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode};
use net::{ClientAddress, forwarded};
use std::sync::{Mutex, PoisonError};
use tenancy::Source;

/// A connection that is about to be a WebSocket.
pub struct Opening {
    /// Resolves to the connection once HTTP has ended on it.
    pub upgrade: OnUpgrade,
    /// Who has opened it.
    pub peer: ClientAddress,
    /// What its request says of its tenant.
    pub claims: Claims,
    /// A trusted proxy says that it was reached by HTTPS.
    pub is_behind_https: bool,
}

/// Where a connection's request leaves its [`Opening`] for whoever serves the connection.
#[derive(Default)]
pub struct Slot(Mutex<Option<Opening>>);

impl Slot {
    /// What was left, if HTTP has ended for that.
    #[must_use]
    pub fn take(&self) -> Option<Opening> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn leave(&self, opening: Opening) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(opening);
    }
}

/// Answers a request. `tenant_in_path` is the tenant's name in its path, if there is one.
pub fn answer(
    mut request: Request<Incoming>,
    tenant_in_path: Option<&str>,
    connection: ClientAddress,
    shared: &Shared,
    slot: &Slot,
) -> Reply {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _nothing) = request.into_parts();
    let accepted = match handshake::accept(&parts) {
        Ok(accepted) => accepted,
        Err(why) => return not_opened(why),
    };
    match opening(&parts, tenant_in_path, connection, upgrade, shared) {
        Ok(opening) => {
            shared.usage.websockets.inc();
            slot.leave(opening);
            switching(accepted)
        }
        Err(refusal) => refused(refusal, shared),
    }
}

fn opening(
    parts: &Parts,
    tenant_in_path: Option<&str>,
    connection: ClientAddress,
    upgrade: OnUpgrade,
    shared: &Shared,
) -> Result<Opening, Refusal> {
    let peer = origin::client_of(&parts.headers, connection, shared)?;
    let names = RequestNames::read(parts, tenant_in_path, &shared.config)?;
    names.refuse_header()?;
    let claims = address(parts, shared)?.followed_by(names.without_header(&shared.config));
    let trusted = &shared.config.listen.trusted_proxies;
    Ok(Opening {
        upgrade,
        peer,
        claims,
        is_behind_https: forwarded::is_https(&parts.headers, connection, trusted),
    })
}

/// The host and port that the driver would have connected to without a WebSocket, which it gives as
/// `?address=HOST:PORT` unless it is told otherwise (`neonConfig.wsProxy`). The host may name the tenant.
fn address(parts: &Parts, shared: &Shared) -> Result<Claims, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    let given = query.split('&').filter_map(|pair| pair.strip_prefix("address="));
    let hosts: Option<Vec<&str>> = given.map(without_port).collect();
    let hosts =
        hosts.ok_or_else(|| Refusal::protocol("the address is no host name or address with a port"))?;
    let names = Hosts::of(&shared.config);
    let claims = hosts.into_iter().filter_map(|host| names.claim(host, Source::Host));
    Ok(Claims::in_order(claims, &shared.config.resolve.http_sources))
}

fn switching(accepted: HeaderValue) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    reply
}

fn not_opened(why: NoUpgrade) -> Reply {
    let status = match why {
        NoUpgrade::NotAsked | NoUpgrade::Version => StatusCode::UPGRADE_REQUIRED,
        NoUpgrade::Key => StatusCode::BAD_REQUEST,
    };
    let mut reply = reply::problem(status, &why.to_string());
    let headers = reply.headers_mut();
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    // RFC 6455 §4.4: so that a client with another version can try again.
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(handshake::VERSION));
    reply
}

fn refused(refusal: Refusal, shared: &Shared) -> Reply {
    shared.usage.refusals.refused(refusal.kind());
    tracing::info!(kind = refusal.kind().as_str(), "a WebSocket was refused");
    let failure = Failure::from(refusal);
    let (status, retry_after) = (failure.status(), failure.retry_after());
    reply::error(status, &failure.into_body(), retry_after, None)
}

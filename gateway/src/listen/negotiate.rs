//! From a client's first byte to its startup packet: encryption and cancel requests.
//!
//! What arrives in clear could have been put there by anybody on the way, so nothing of it outlives the beginning
//! of encryption: bytes behind the request for it end the connection (CVE-2021-3935).

use super::wire::{ClientWire, WireError};
use crate::error::Refusal;
use crate::session::Refused;
use crate::shared::Shared;
use crate::tls::Acceptor;
use crate::tls::acceptor::Inside;
use config::TlsListenerMode;
use net::ClientAddress;
use pgwire::startup::{CancelKey, FirstPacket, Startup, expect_no_early_data};
use std::sync::Arc;
use tenancy::ErrorKind;

/// A client may ask for TLS and for GSSAPI encryption, each once, before its startup packet
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// What PostgreSQL answers to an SSLRequest that it grants.
const ENCRYPTION: &[u8] = b"S";

/// What PostgreSQL answers to an encryption request that it will not grant.
const NO_ENCRYPTION: &[u8] = b"N";

/// What to do about a packet.
enum Step {
    /// Begin to encrypt.
    Encrypt(Arc<Acceptor>),
    /// Say that there will be no such encryption.
    StayAsIs,
    /// Cancel what somebody runs; that is all that this connection is for.
    Cancel(CancelKey),
    /// Begin a session.
    Begin(Startup),
}

/// Answers encryption and cancel requests up to the startup packet. `None`: there will be no session.
///
/// # Errors
/// The client broke the protocol, or wants to be served in clear where it may not.
pub async fn startup(
    mut wire: ClientWire,
    peer: ClientAddress,
    shared: &Arc<Shared>,
) -> Result<Option<(ClientWire, Startup)>, Box<Refused>> {
    if let Some(tls) = &shared.tls
        && shared.config.tls.mode != TlsListenerMode::Disable
        && wire.begins_with_tls().await
    {
        let Some(encrypted) = encrypt(wire, peer, tls, Inside::PostgresDirect).await else { return Ok(None) };
        wire = encrypted;
    }
    let mut requests = 0;
    loop {
        let judged = match wire.first_packet().await {
            Ok(packet) => judge(packet, &wire, shared, &mut requests),
            Err(WireError::Gone) => return Ok(None),
            Err(WireError::Refused(refusal)) => Err(refusal),
        };
        match judged {
            Ok(Step::Encrypt(tls)) => {
                if wire.send(ENCRYPTION).await.is_err() {
                    return Ok(None);
                }
                let Some(encrypted) = encrypt(wire, peer, &tls, Inside::Postgres).await else {
                    return Ok(None);
                };
                wire = encrypted;
            }
            Ok(Step::StayAsIs) => {
                if wire.send(NO_ENCRYPTION).await.is_err() {
                    return Ok(None);
                }
            }
            Ok(Step::Cancel(key)) => {
                cancel(key, peer, shared).await;
                return Ok(None);
            }
            Ok(Step::Begin(startup)) => return Ok(Some((wire, startup))),
            Err(refusal) => return Err(Box::new(Refused { wire, refusal, tenant: None })),
        }
    }
}

/// The same inside a WebSocket, whose encryption is HTTP's affair.
///
/// # Errors
/// The client broke the protocol.
pub async fn startup_inside(
    mut wire: ClientWire,
    peer: ClientAddress,
    shared: &Arc<Shared>,
) -> Result<Option<(ClientWire, Startup)>, Box<Refused>> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        match wire.first_packet().await {
            Ok(FirstPacket::SslRequest | FirstPacket::GssEncRequest) => {
                if wire.send(NO_ENCRYPTION).await.is_err() {
                    return Ok(None);
                }
            }
            Ok(FirstPacket::Cancel(key)) => {
                cancel(key, peer, shared).await;
                return Ok(None);
            }
            Ok(FirstPacket::Startup(startup)) => return Ok(Some((wire, startup))),
            Err(WireError::Gone) => return Ok(None),
            Err(WireError::Refused(refusal)) => {
                return Err(Box::new(Refused { wire, refusal, tenant: None }));
            }
        }
    }
    Err(Box::new(Refused { wire, refusal: too_many_requests(), tenant: None }))
}

fn too_many_requests() -> Refusal {
    Refusal::protocol("too many encryption requests")
}

fn judge(
    packet: FirstPacket,
    wire: &ClientWire,
    shared: &Shared,
    requests: &mut usize,
) -> Result<Step, Refusal> {
    let mode = shared.config.tls.mode;
    match packet {
        FirstPacket::SslRequest | FirstPacket::GssEncRequest => {
            let is_ssl = matches!(packet, FirstPacket::SslRequest);
            *requests += 1;
            if wire.is_encrypted() || *requests > ENCRYPTION_REQUESTS_MAX {
                return Err(too_many_requests());
            }
            expect_no_early_data(wire.unread()).map_err(|error| Refusal::protocol(error.to_string()))?;
            match &shared.tls {
                Some(tls) if is_ssl && mode != TlsListenerMode::Disable => Ok(Step::Encrypt(Arc::clone(tls))),
                _ => Ok(Step::StayAsIs),
            }
        }
        // Served in clear too: the key is of no use beyond the statement that it cancels, and older clients of
        // encrypted sessions know no other way.
        FirstPacket::Cancel(key) => Ok(Step::Cancel(key)),
        FirstPacket::Startup(_) if mode == TlsListenerMode::Require && !wire.is_encrypted() => {
            Err(Refusal::new(ErrorKind::TlsRequired, "connections without TLS are not served here")
                .hint("connect with sslmode=require, or better with sslmode=verify-full"))
        }
        FirstPacket::Startup(startup) => Ok(Step::Begin(startup)),
    }
}

/// `None`: the two could not agree. The client was told by TLS itself.
async fn encrypt(
    wire: ClientWire,
    peer: ClientAddress,
    tls: &Acceptor,
    inside: Inside,
) -> Option<ClientWire> {
    match wire.encrypt(tls, inside).await {
        Ok(wire) => Some(wire),
        Err(error) => {
            tracing::info!(%peer, %error, "a TLS handshake failed");
            None
        }
    }
}

async fn cancel(key: CancelKey, peer: ClientAddress, shared: &Shared) {
    let outcome = shared.cancels.cancel(key, peer.ip()).await;
    shared.usage.cancelled(outcome);
}

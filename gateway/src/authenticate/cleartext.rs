//! What is shown rather than proved: a token where PostgreSQL's protocol has a password, and the password that a driver
//! sends along with its startup packet.
//!
//! A token cannot be proved without being shown, so it is asked for in clear, and only from a client that has said that it
//! will show one: whoever has a password is never asked for it so. Either is taken only where nobody can listen.

use crate::error::Refusal;
use crate::listen::wire::{ClientWire, WireError};
use net::ClientAddress;
use pgwire::backend::write;
use tenancy::{ErrorKind, Secret};

/// The tag of every message that a client authenticates with.
const PASSWORD_MESSAGE: u8 = b'p';

/// Asks for the token.
///
/// # Errors
/// [`ErrorKind::TlsRequired`] on a connection in clear from elsewhere; a protocol violation; or the client has left.
pub async fn ask(wire: &mut ClientWire, peer: ClientAddress) -> Result<Secret, Refusal> {
    if !wire.is_private(peer) {
        return Err(Refusal::new(ErrorKind::TlsRequired, "a token is only taken over TLS")
            .hint("connect with sslmode=verify-full"));
    }
    wire.send(&question()).await.map_err(refused)?;
    answer(wire).await
}

/// The password that a client of a WebSocket has sent without being asked, so that its first query needs no round trip
/// of its own. `None`: it waits to be asked, and is not asked for it here.
///
/// # Errors
/// As for [`ask`].
pub async fn sent_along(wire: &mut ClientWire, peer: ClientAddress) -> Result<Option<Secret>, Refusal> {
    if !wire.has_sent_along(PASSWORD_MESSAGE).await.map_err(refused)? {
        return Ok(None);
    }
    if !wire.is_private(peer) {
        return Err(Refusal::new(ErrorKind::TlsRequired, "a password in clear is only taken over TLS")
            .hint("connect by wss, or have the driver wait for SCRAM: neonConfig.pipelineConnect = false"));
    }
    // The driver reads the question where it expects it, together with what comes of its answer.
    wire.hold_back(&question());
    answer(wire).await.map(Some)
}

fn question() -> Vec<u8> {
    let mut question = Vec::with_capacity(16);
    write::authentication_cleartext(&mut question);
    question
}

async fn answer(wire: &mut ClientWire) -> Result<Secret, Refusal> {
    let body = wire.expect(PASSWORD_MESSAGE).await.map_err(refused)?;
    let text = body.strip_suffix(&[0]).and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(|| Refusal::protocol("the password message is not text"))?;
    Ok(Secret::new(text.to_owned()))
}

fn refused(error: WireError) -> Refusal {
    match error {
        WireError::Refused(refusal) => refusal,
        WireError::Gone => Refusal::new(ErrorKind::ClientTimeout, "the client has left"),
    }
}

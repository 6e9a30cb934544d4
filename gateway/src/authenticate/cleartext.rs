//! A token where PostgreSQL's protocol has a password.
//!
//! A token cannot be proved without being shown, so it is asked for in clear, and only from a client that has said that it
//! will show one: whoever has a password is never asked for it so. It is asked for only where nobody can listen.

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
    if !wire.is_encrypted() && !peer.is_local() {
        return Err(Refusal::new(ErrorKind::TlsRequired, "a token is only taken over TLS")
            .hint("connect with sslmode=verify-full"));
    }
    let mut question = Vec::with_capacity(16);
    write::authentication_cleartext(&mut question);
    wire.send(&question).await.map_err(refused)?;
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

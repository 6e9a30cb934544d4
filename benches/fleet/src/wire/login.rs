//! From an address to a session, without hashing a password at every login.

use super::{Failure, Wire};
use crate::target::Endpoint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::backend::{Authentication, ErrorFields};
use pgwire::frame::peek_header;
use pgwire::frontend::write;
use pgwire::scram::{ChannelBinding, ClientCredential, ClientExchange, ClientKeys, ScramError};
use std::cell::RefCell;
use std::collections::HashMap;
use tenancy::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Keys of passwords that were hashed before. SCRAM has clients hash for a millisecond at each login, which would make
/// this program and not the target the bottleneck.
#[derive(Default)]
pub(crate) struct Keyring {
    /// By password: tenants that share one mostly share its salt too.
    keys: RefCell<HashMap<String, ClientKeys>>,
}

impl Keyring {
    fn credential(&self, password: &Secret) -> ClientCredential {
        let known = self.keys.borrow().get(password.expose()).cloned();
        known.map_or_else(|| ClientCredential::Password(password.clone()), ClientCredential::Keys)
    }

    fn learn(&self, password: &Secret, server_first: &[u8]) {
        let keys = std::str::from_utf8(server_first)
            .ok()
            .and_then(salt_and_rounds)
            .and_then(|(salt, rounds)| ClientKeys::derive(password, &salt, rounds).ok());
        if let Some(keys) = keys {
            self.keys.borrow_mut().insert(password.expose().to_owned(), keys);
        }
    }

    fn forget(&self, password: &Secret) {
        self.keys.borrow_mut().remove(password.expose());
    }
}

/// `r=…,s=SALT,i=ROUNDS` (RFC 5802, section 7).
fn salt_and_rounds(server_first: &str) -> Option<(Vec<u8>, u32)> {
    let attribute = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
    Some((STANDARD.decode(attribute("s=")?).ok()?, attribute("i=")?.parse().ok()?))
}

/// Connects and logs in, up to the first ReadyForQuery.
pub(crate) async fn login(endpoint: &Endpoint, keyring: &Keyring) -> Result<Wire, Failure> {
    match attempt(endpoint, keyring).await {
        // The keys were of another salt. Without them it is hashed anew.
        Err(Failure::Protocol(KEYS_OUTDATED)) => {
            keyring.forget(&endpoint.password);
            attempt(endpoint, keyring).await
        }
        outcome => outcome,
    }
}

const KEYS_OUTDATED: &str = "keys-outdated";

async fn attempt(endpoint: &Endpoint, keyring: &Keyring) -> Result<Wire, Failure> {
    let stream = TcpStream::connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    wire.outbound.extend_from_slice(&endpoint.startup);
    wire.send().await?;
    authenticate(&mut wire, endpoint, keyring).await?;
    loop {
        let (tag, body) = wire.message().await?;
        match tag {
            b'Z' => {
                wire.status = body.first().copied().unwrap_or(0);
                return Ok(wire);
            }
            b'E' => return Err(refusal(&body)),
            _ => {}
        }
    }
}

async fn authenticate(wire: &mut Wire, endpoint: &Endpoint, keyring: &Keyring) -> Result<(), Failure> {
    let offer = wire.authentication().await?;
    let exchange = match parsed(&offer)? {
        Authentication::Ok => return Ok(()),
        Authentication::CleartextPassword => {
            write::password(&mut wire.outbound, endpoint.password.expose().as_bytes())?;
            wire.send().await?;
            return expect_ok(&wire.authentication().await?);
        }
        Authentication::Sasl(offered) => {
            let credential = keyring.credential(&endpoint.password);
            ClientExchange::new(credential, &offered, ChannelBinding::Unavailable).map_err(|e| scram(&e))?
        }
        _ => return Err(Failure::Protocol("authentication-not-supported")),
    };
    write::sasl_initial(&mut wire.outbound, exchange.mechanism(), exchange.client_first().as_bytes())?;
    wire.send().await?;
    let challenge = wire.authentication().await?;
    let Authentication::SaslContinue(server_first) = parsed(&challenge)? else { return Err(UNEXPECTED) };
    if matches!(keyring.credential(&endpoint.password), ClientCredential::Password(_)) {
        keyring.learn(&endpoint.password, server_first);
    }
    let (answer, proof) = exchange.answer(server_first).map_err(|error| scram(&error))?;
    write::sasl_response(&mut wire.outbound, proof.as_bytes())?;
    wire.send().await?;
    let last = wire.authentication().await?;
    let Authentication::SaslFinal(server_final) = parsed(&last)? else { return Err(UNEXPECTED) };
    answer.verify(server_final).map_err(|error| scram(&error))?;
    expect_ok(&wire.authentication().await?)
}

const UNEXPECTED: Failure = Failure::Protocol("unexpected-message");

fn parsed(body: &[u8]) -> Result<Authentication<'_>, Failure> {
    Authentication::parse(body).map_err(|_| UNEXPECTED)
}

fn expect_ok(body: &[u8]) -> Result<(), Failure> {
    if matches!(parsed(body)?, Authentication::Ok) { Ok(()) } else { Err(UNEXPECTED) }
}

fn scram(error: &ScramError) -> Failure {
    Failure::Protocol(if matches!(error, ScramError::KeysOutdated) { KEYS_OUTDATED } else { "scram" })
}

fn refusal(body: &[u8]) -> Failure {
    ErrorFields::new(body).sqlstate().map_or(Failure::Protocol("error-without-sqlstate"), Failure::Sql)
}

impl Wire {
    async fn send(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.outbound).await?;
        self.outbound.clear();
        Ok(())
    }

    async fn authentication(&mut self) -> Result<Vec<u8>, Failure> {
        match self.message().await? {
            (b'R', body) => Ok(body),
            (b'E', body) => Err(refusal(&body)),
            _ => Err(UNEXPECTED),
        }
    }

    /// The next message of a login. What follows it stays in the inbound buffer.
    async fn message(&mut self) -> Result<(u8, Vec<u8>), Failure> {
        loop {
            let header = peek_header(&self.inbound).map_err(|_| Failure::Protocol("bad-length"))?;
            if let Some((header, body)) =
                header.and_then(|header| Some((header, header.body(&self.inbound)?)))
            {
                let message = (header.tag, body.to_vec());
                self.inbound.drain(..header.len);
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.inbound).await? == 0 {
                return Err(Failure::Io(std::io::ErrorKind::UnexpectedEof));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_and_rounds_are_found() {
        let (salt, rounds) = salt_and_rounds("r=abc,s=c2FsdCBvZiBmbGVldA==,i=4096").unwrap();
        assert_eq!((salt.as_slice(), rounds), (b"salt of fleet".as_slice(), 4096));
        assert_eq!(salt_and_rounds("e=other-error"), None);
    }
}

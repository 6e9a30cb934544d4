//! The client's side of an exchange.

use super::ScramError;
use super::crypto::{self, Key};
use super::message::{self, ServerFirst};
use std::fmt;
use subtle::ConstantTimeEq;
use tenancy::Secret;
use zeroize::Zeroizing;

/// We never bind to a channel, and say that we could not.
const GS2_HEADER: &str = "n,,";

/// An exchange in which the server has said nothing yet.
pub struct ClientExchange {
    password: Secret,
    nonce: String,
    /// `client-first-message-bare`.
    bare: String,
}

/// An exchange in which the server owes the proof that it knows the verifier.
pub struct ClientAnswer {
    keys: ClientKeys,
    server_signature: Key,
}

/// What a password, a salt and a number of rounds come to. Kept after a login, they spare the next one
/// all the hashing.
///
/// They are as good as the password: wiped when dropped, never shown. They hold for one role on one
/// server with one password, so a cache must be keyed by all three; that the server still uses the
/// same salt and rounds is checked at each use.
#[derive(Clone)]
pub struct ClientKeys {
    client_key: Zeroizing<Key>,
    server_key: Zeroizing<Key>,
    salt: Vec<u8>,
    iterations: u32,
}

impl ClientKeys {
    /// Hashes, unless `cached` is the result already.
    fn obtain(password: &Secret, server: &ServerFirst<'_>, cached: Option<&Self>) -> Self {
        match cached {
            Some(keys) if keys.salt == server.salt && keys.iterations == server.iterations => keys.clone(),
            _ => {
                let derived = crypto::derive(password.expose(), &server.salt, server.iterations);
                Self {
                    client_key: derived.client_key,
                    server_key: derived.server_key,
                    salt: server.salt.clone(),
                    iterations: server.iterations,
                }
            }
        }
    }
}

impl ClientExchange {
    /// Begins an exchange. The user is named in the startup packet, not here, as libpq does it.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new(password: Secret) -> Result<Self, ScramError> {
        Ok(Self::with(password, "", crypto::nonce()?))
    }

    pub(super) fn with(password: Secret, user: &str, nonce: String) -> Self {
        Self { password, bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The client's first message.
    #[must_use]
    pub fn client_first(&self) -> String {
        format!("{GS2_HEADER}{}", self.bare)
    }

    /// Takes the server's first message and returns the client's last. `cached` are the keys of an
    /// earlier login with this password; without them, or when the server has changed the salt, this
    /// hashes for milliseconds.
    ///
    /// # Errors
    /// A message that does not follow the grammar, belongs to another exchange, is too long, or asks
    /// for more than [`super::ITERATIONS_MAX`] rounds.
    pub fn answer(
        self,
        server_first: &[u8],
        cached: Option<&ClientKeys>,
    ) -> Result<(ClientAnswer, String), ScramError> {
        let server = ServerFirst::parse(server_first, &self.nonce)?;
        let keys = ClientKeys::obtain(&self.password, &server, cached);
        let channel_binding = crypto::encode(GS2_HEADER.as_bytes());
        let without_proof = format!("c={channel_binding},r={}", server.nonce);
        let signed: [&[u8]; 5] =
            [self.bare.as_bytes(), b",", server.message.as_bytes(), b",", without_proof.as_bytes()];
        let client_signature = crypto::hmac(&crypto::hash(&keys.client_key), &signed);
        let proof = crypto::encode(&crypto::xor(&keys.client_key, &client_signature));
        let server_signature = crypto::hmac(&*keys.server_key, &signed);
        Ok((ClientAnswer { keys, server_signature }, format!("{without_proof},p={proof}")))
    }
}

impl ClientAnswer {
    /// Takes the server's last message and returns the keys to keep for the next login. A server that
    /// says AuthenticationOk without this message has proved nothing: do not go on with it.
    ///
    /// # Errors
    /// [`ScramError::ServerNotProven`] when the server does not know the verifier,
    /// [`ScramError::Rejected`] when it says that we failed, or a message that is broken.
    pub fn verify(self, server_final: &[u8]) -> Result<ClientKeys, ScramError> {
        let signature = message::server_final(server_final)?;
        if signature.ct_eq(&self.server_signature).into() {
            Ok(self.keys)
        } else {
            Err(ScramError::ServerNotProven)
        }
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientExchange")
    }
}

impl fmt::Debug for ClientAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAnswer")
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys([redacted])")
    }
}

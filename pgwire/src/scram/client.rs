//! The client's side of an exchange.

use super::binding::Choice;
use super::crypto::{self, Key};
use super::message::{self, ServerFirst};
use super::{ChannelBinding, ClientKeys, ScramError};
use crate::backend::Mechanisms;
use std::fmt;
use subtle::ConstantTimeEq;
use tenancy::Secret;

/// What a client logs in with.
#[derive(Debug, Clone)]
pub enum ClientCredential {
    /// A password: hashed for milliseconds at each login.
    Password(Secret),
    /// Keys: nothing is hashed, but they hold only while the server keeps the verifier that belongs to them.
    Keys(ClientKeys),
}

impl From<Secret> for ClientCredential {
    fn from(password: Secret) -> Self {
        Self::Password(password)
    }
}

impl From<ClientKeys> for ClientCredential {
    fn from(keys: ClientKeys) -> Self {
        Self::Keys(keys)
    }
}

impl ClientCredential {
    fn into_keys(self, server: &ServerFirst<'_>) -> Result<ClientKeys, ScramError> {
        match self {
            Self::Password(password) => ClientKeys::derive(&password, &server.salt, server.iterations),
            Self::Keys(keys) if keys.fit(&server.salt, server.iterations) => Ok(keys),
            Self::Keys(_) => Err(ScramError::KeysOutdated),
        }
    }
}

/// An exchange in which the server has made its offer and said nothing else yet.
pub struct ClientExchange {
    credential: ClientCredential,
    nonce: String,
    choice: Choice,
    /// `client-first-message-bare`.
    bare: String,
}

/// An exchange in which the server owes the proof that it knows the verifier.
pub struct ClientAnswer {
    server_signature: Key,
}

impl ClientExchange {
    /// Begins an exchange with a server that offers these mechanisms. `binding` is used when the server offers
    /// to bind. The user is named in the startup packet, not here, as libpq does it.
    ///
    /// # Errors
    /// [`ScramError::NotOffered`]; the system has no randomness to give.
    pub fn new(
        credential: impl Into<ClientCredential>,
        offered: &Mechanisms<'_>,
        binding: ChannelBinding,
    ) -> Result<Self, ScramError> {
        Ok(Self::with(credential, binding.choose(offered)?, "", crypto::nonce()?))
    }

    pub(super) fn with(
        credential: impl Into<ClientCredential>,
        choice: Choice,
        user: &str,
        nonce: String,
    ) -> Self {
        Self { credential: credential.into(), choice, bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The mechanism to name in SASLInitialResponse.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        self.choice.mechanism
    }

    /// The client's first message.
    #[must_use]
    pub fn client_first(&self) -> String {
        format!("{}{}", self.choice.header, self.bare)
    }

    /// Takes the server's first message and returns the client's last. With a password this hashes for
    /// milliseconds.
    ///
    /// # Errors
    /// [`ScramError::KeysOutdated`]: the server shows another salt or other rounds than the keys were made
    /// with. Others: a message that does not follow the grammar, belongs to another exchange, is too long, or
    /// asks for more than [`super::ITERATIONS_MAX`] rounds.
    pub fn answer(self, server_first: &[u8]) -> Result<(ClientAnswer, String), ScramError> {
        let server = ServerFirst::parse(server_first, &self.nonce)?;
        let keys = self.credential.into_keys(&server)?;
        let channel_binding = crypto::encode(&[self.choice.header.as_bytes(), &self.choice.data].concat());
        let without_proof = format!("c={channel_binding},r={}", server.nonce);
        let signed: [&[u8]; 5] =
            [self.bare.as_bytes(), b",", server.message.as_bytes(), b",", without_proof.as_bytes()];
        let client_signature = crypto::hmac(&crypto::hash(&keys.client_key), &signed);
        let proof = crypto::encode(&crypto::xor(&keys.client_key, &client_signature));
        let server_signature = crypto::hmac(&*keys.server_key, &signed);
        Ok((ClientAnswer { server_signature }, format!("{without_proof},p={proof}")))
    }
}

impl ClientAnswer {
    /// Takes the server's last message. A server that says AuthenticationOk without this message has proved
    /// nothing: do not go on with it.
    ///
    /// # Errors
    /// [`ScramError::ServerNotProven`] when the server does not know the verifier,
    /// [`ScramError::Rejected`] when it says that we failed, or a message that is broken.
    pub fn verify(self, server_final: &[u8]) -> Result<(), ScramError> {
        let signature = message::server_final(server_final)?;
        let proven: bool = signature.ct_eq(&self.server_signature).into();
        if proven { Ok(()) } else { Err(ScramError::ServerNotProven) }
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

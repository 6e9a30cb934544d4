//! The server's side of an exchange.

use super::crypto;
use super::message::{ClientFinal, ClientFirst};
use super::{Candidates, ChannelBinding, ScramError, Verifier};
use std::fmt;
use subtle::ConstantTimeEq;

/// An exchange in which the client has said nothing yet.
#[derive(Debug)]
pub struct ServerExchange {
    candidates: Candidates,
    binding: ChannelBinding,
}

/// An exchange in which the client owes the proof that it knows the password.
pub struct ServerChallenge {
    candidates: Candidates,
    /// Base64 of what the client said about channel binding, and of what it then has to bind to.
    channel_binding: String,
    /// Both sides' nonces.
    nonce: String,
    /// The messages so far, as both sides sign them.
    signed: String,
}

/// The client knows a password.
#[derive(Debug)]
pub struct Accepted {
    /// The server's last message.
    pub message: String,
    /// The verifier that the password is right for.
    pub verifier: Verifier,
}

impl ServerExchange {
    /// With somebody who has a verifier, or several, on a connection that can be bound to, or not.
    #[must_use]
    pub fn new(candidates: impl Into<Candidates>, binding: ChannelBinding) -> Self {
        Self { candidates: candidates.into(), binding }
    }

    /// With somebody unknown: looks the same and never succeeds. See [`Verifier::mock`].
    #[must_use]
    pub fn mock(seed: &[u8; 32], identity: &str, binding: ChannelBinding) -> Self {
        Self::new(Verifier::mock(seed, identity), binding)
    }

    /// What to offer in AuthenticationSASL, best first.
    #[must_use]
    pub fn mechanisms(&self) -> &'static [&'static str] {
        self.binding.mechanisms()
    }

    /// Takes the client's choice of mechanism and its first message, and returns the server's.
    ///
    /// # Errors
    /// A mechanism that is not on offer; a message that does not follow the grammar, does not fit the mechanism,
    /// missed the offer of channel binding, or is too long; no randomness. Never [`ScramError::Rejected`].
    pub fn first(
        self,
        mechanism: &[u8],
        client_first: &[u8],
    ) -> Result<(ServerChallenge, String), ScramError> {
        let nonce = crypto::nonce()?;
        self.first_with(mechanism, client_first, &nonce)
    }

    pub(super) fn first_with(
        self,
        mechanism: &[u8],
        client_first: &[u8],
        nonce: &str,
    ) -> Result<(ServerChallenge, String), ScramError> {
        let client = ClientFirst::parse(client_first)?;
        let bound_to = self.binding.agree(mechanism, client.flag)?;
        let nonce = format!("{}{nonce}", client.nonce);
        let Verifier { salt, iterations, .. } = &self.candidates.first;
        let server_first = format!("r={nonce},s={},i={iterations}", crypto::encode(salt));
        let challenge = ServerChallenge {
            channel_binding: crypto::encode(&[client.gs2_header.as_bytes(), bound_to].concat()),
            signed: format!("{},{server_first}", client.bare),
            nonce,
            candidates: self.candidates,
        };
        Ok((challenge, server_first))
    }
}

impl ServerChallenge {
    /// Takes the client's last message and returns the server's: the client knows a password.
    ///
    /// # Errors
    /// [`ScramError::Rejected`] when the proof is wrong, and always after a mock. Other errors mean
    /// a message that is broken or of another exchange; they come before the proof is looked at and
    /// do not depend on the verifier.
    pub fn finish(self, client_final: &[u8]) -> Result<Accepted, ScramError> {
        let client = ClientFinal::parse(client_final)?;
        if !bool::from(client.channel_binding.as_bytes().ct_eq(self.channel_binding.as_bytes())) {
            return Err(ScramError::ChannelBindingMismatch);
        }
        if client.nonce != self.nonce {
            return Err(ScramError::Nonce);
        }
        let signed: [&[u8]; 3] = [self.signed.as_bytes(), b",", client.without_proof.as_bytes()];
        let mut accepted = None;
        // All are tried, whether or not one succeeds: success and failure cost the same.
        for verifier in self.candidates.iter() {
            let client_signature = crypto::hmac(&verifier.stored_key, &signed);
            let client_key = crypto::xor(&client.proof, &client_signature);
            let server_signature = crypto::hmac(&verifier.server_key, &signed);
            if verifier.accepts(&client_key).into() {
                accepted = Some((server_signature, verifier));
            }
        }
        let (signature, verifier) = accepted.ok_or(ScramError::Rejected)?;
        Ok(Accepted { message: format!("v={}", crypto::encode(&signature)), verifier: verifier.clone() })
    }
}

impl fmt::Debug for ServerChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerChallenge")
    }
}

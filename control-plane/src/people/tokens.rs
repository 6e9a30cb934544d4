//! Tokens that mean nothing by themselves: what they open stands in the catalog, under their hash.

use crate::secrets::{self, SecretsError};
use sha2::{Digest, Sha256};
use tenancy::Secret;

/// Bytes of randomness: nobody guesses 256 bits, so that a plain hash suffices.
const TOKEN_BYTES: usize = 32;

/// What a session's token begins with, so that a leaked one is recognised by scanners.
pub(crate) const SESSION_PREFIX: &str = "tnu_";

/// What an invite's token begins with.
const INVITE_PREFIX: &str = "tni_";

/// A token, and what is kept of it.
pub(crate) struct OpaqueToken {
    pub(crate) token: Secret,
    pub(crate) hash: [u8; 32],
}

/// What shows a session.
pub(crate) fn session() -> Result<OpaqueToken, SecretsError> {
    made(SESSION_PREFIX)
}

/// What accepts an invite.
pub(crate) fn invite() -> Result<OpaqueToken, SecretsError> {
    made(INVITE_PREFIX)
}

/// What is kept of a token.
pub(crate) fn hash(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose().as_bytes()).into()
}

fn made(prefix: &str) -> Result<OpaqueToken, SecretsError> {
    let token = Secret::new(format!("{prefix}{}", secrets::random_text::<TOKEN_BYTES>()?));
    Ok(OpaqueToken { hash: hash(&token), token })
}

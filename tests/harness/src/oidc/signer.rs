//! A key that signs tokens, good ones and others.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key on the curve P-256.
pub struct Signer(EcdsaKeyPair);

impl Signer {
    /// A new one.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("randomness"))
    }

    /// Its public half (RFC 7518 §6.2.1).
    #[must_use]
    pub fn jwk(&self, id: &str) -> Value {
        // An uncompressed point: 0x04, and two numbers of 32 bytes.
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": encode(x), "y": encode(y)})
    }

    /// A token with this header and these claims, whatever they say.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).expect("randomness");
        format!("{message}.{}", encode(signature))
    }
}

/// As every part of a token is written.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

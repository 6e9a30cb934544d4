//! An issuer's public keys, as its JWKS has them (RFC 7517).

use crate::error::TokenError;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tenancy::SigningAlgorithm;

/// A token that names no key is tried with so many at most: each costs a signature check.
const UNNAMED_KEYS_MAX: usize = 4;

/// The keys that tokens may be signed with.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    family: Family,
    /// The one that it is for, if it says so.
    algorithm: Option<SigningAlgorithm>,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why a JWKS is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is not the JSON that RFC 7517 §5 describes.
    #[error("what was answered is no key set")]
    Malformed,
    /// It has more keys than are kept.
    #[error("the key set has too many keys")]
    TooMany,
    /// None of its keys can check a signature.
    #[error("the key set has no key for signatures")]
    Empty,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWKS. Keys that are of a kind that we do not know, or not for signatures, are left out, as RFC 7517 §5
    /// asks for; a shared secret among them is one.
    ///
    /// # Errors
    /// It is none, or has too many keys, or none that is of use.
    pub fn parse(json: &[u8], keys_max: usize) -> Result<Self, KeySetError> {
        let document: Document = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > keys_max {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<Key> = document.keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    /// One Ed25519 key of 32 bytes, with its id.
    pub(crate) fn of_ed25519(id: &str, public: &[u8; 32]) -> Self {
        Self(vec![Key {
            id: Some(id.to_owned()),
            family: Family::Ed25519,
            algorithm: Some(SigningAlgorithm::EdDsa),
            key: DecodingKey::from_ed_der(public),
        }])
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there no key?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is there a key that a token that names this one could be signed with?
    #[must_use]
    pub fn has(&self, key_id: Option<&str>) -> bool {
        key_id.is_none_or(|wanted| self.0.iter().any(|key| key.id.as_deref() == Some(wanted)))
    }

    /// The keys to try. A token that names its key is tried with that one only.
    pub(crate) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> Result<impl Iterator<Item = &DecodingKey>, TokenError> {
        if !self.has(key_id) {
            return Err(TokenError::UnknownKey);
        }
        let named = move |key: &&Key| key_id.is_none() || key.id.as_deref() == key_id;
        let fitting = self.0.iter().filter(named).filter(move |key| key.fits(algorithm));
        Ok(fitting.take(UNNAMED_KEYS_MAX).map(|key| &key.key))
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let is_public = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        if !verifies || !is_public {
            return None;
        }
        let algorithm = match common.key_algorithm {
            None => None,
            Some(algorithm) => Some(signing(algorithm)?),
        };
        let family = family(&jwk.algorithm)?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, family, algorithm, key })
    }

    /// A key checks what it is for: an RSA key's text is never a curve's point, nor a secret.
    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        let family = match algorithm {
            SigningAlgorithm::Rs256
            | SigningAlgorithm::Rs384
            | SigningAlgorithm::Rs512
            | SigningAlgorithm::Ps256
            | SigningAlgorithm::Ps384
            | SigningAlgorithm::Ps512 => Family::Rsa,
            SigningAlgorithm::Es256 => Family::P256,
            SigningAlgorithm::Es384 => Family::P384,
            SigningAlgorithm::EdDsa => Family::Ed25519,
        };
        self.family == family && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

fn signing(algorithm: KeyAlgorithm) -> Option<SigningAlgorithm> {
    algorithm.to_string().parse().ok()
}

fn family(parameters: &AlgorithmParameters) -> Option<Family> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some(Family::Rsa),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(Family::P256),
            EllipticCurve::P384 => Some(Family::P384),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            matches!(key.curve, EllipticCurve::Ed25519).then_some(Family::Ed25519)
        }
        _ => None,
    }
}

/// As the library calls it.
pub(crate) fn algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Rs384 => Algorithm::RS384,
        SigningAlgorithm::Rs512 => Algorithm::RS512,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Ps384 => Algorithm::PS384,
        SigningAlgorithm::Ps512 => Algorithm::PS512,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::Es384 => Algorithm::ES384,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

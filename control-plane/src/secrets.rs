//! Making the secrets that tenants and the gateway use. Each is made here, shown or sealed once, and forgotten.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pgwire::scram::{ClientKeys, Verifier};
use sha2::{Digest, Sha256};
use tenancy::Secret;

/// Bytes of randomness in a password that people copy: 192 bits, 32 characters.
const PASSWORD_BYTES: usize = 24;

/// Bytes of randomness in an API key.
const API_KEY_BYTES: usize = 32;

/// How much of a key is kept to tell keys apart: its prefix and eight characters, which leave 208 bits to guess.
const API_KEY_SHOWN_CHARS: usize = 12;

/// Why no secret could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// The system has no randomness to give.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The process is shutting down.
    #[error("hashing was interrupted")]
    Interrupted,
}

/// What a key is for. Its first characters say so, and let scanners recognise one that has leaked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyFor {
    /// One tenant.
    Tenant,
    /// A program that acts for tenants.
    Service,
}

impl KeyFor {
    /// The first characters.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Tenant => "tnt_",
            Self::Service => "tns_",
        }
    }
}

/// A key, and the two things that are kept of it.
pub(crate) struct ApiKey {
    pub(crate) key: Secret,
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
}

/// A password for people and their programs.
pub(crate) fn password() -> Result<Secret, SecretsError> {
    random_text::<PASSWORD_BYTES>().map(Secret::new)
}

/// What a name server has to show for a domain. It need only be new, and nobody else's guess.
pub(crate) fn challenge() -> Result<String, SecretsError> {
    random_text::<PASSWORD_BYTES>()
}

/// What logs in as a tenant's physical role. There is no password behind it.
pub(crate) fn role_keys() -> Result<ClientKeys, SecretsError> {
    let (keys, _) = ClientKeys::generate().map_err(|_| SecretsError::NoRandomness)?;
    Ok(keys)
}

/// What a cluster keeps of a role's keys.
pub(crate) fn role_verifier(keys: &ClientKeys) -> String {
    Verifier::from_keys(keys).to_string()
}

/// A key. A plain hash suffices: there are 256 random bits in it, nobody guesses those.
pub(crate) fn api_key(purpose: KeyFor) -> Result<ApiKey, SecretsError> {
    let text = format!("{}{}", purpose.prefix(), random_text::<API_KEY_BYTES>()?);
    let hash = Sha256::digest(text.as_bytes()).into();
    let prefix = text.chars().take(API_KEY_SHOWN_CHARS).collect();
    Ok(ApiKey { key: Secret::new(text), prefix, hash })
}

/// What the catalog keeps of a password. Somebody who has one already may use either: both must be good for one login.
/// Hashing takes milliseconds by design, so it is done where it keeps no other task waiting.
pub(crate) async fn verifier_beside(password: &Secret, other: Option<&str>) -> Result<String, SecretsError> {
    let password = password.clone();
    // One that cannot be read opens nothing, so nothing is lost by another salt.
    let other = other.and_then(|text| Verifier::parse(text).ok());
    let make = move || match other {
        Some(other) => Ok(other.beside(&password)),
        None => Verifier::generate(&password),
    };
    tokio::task::spawn_blocking(make)
        .await
        .map_err(|_| SecretsError::Interrupted)?
        .map(|verifier| verifier.to_string())
        .map_err(|_| SecretsError::NoRandomness)
}

pub(crate) fn random_text<const N: usize>() -> Result<String, SecretsError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<N>()?))
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], SecretsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SecretsError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_told_by_its_prefix_and_checked_by_its_hash() {
        let made = api_key(KeyFor::Tenant).unwrap();
        assert!(made.key.expose().starts_with(&made.prefix) && made.prefix.len() == API_KEY_SHOWN_CHARS);
        assert_eq!(made.key.expose().len(), 4 + 43);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(made.key.expose())), made.hash);
    }

    #[test]
    fn passwords_stand_in_urls_as_they_are() {
        let text = password().unwrap();
        assert_eq!(text.expose().len(), 32);
        assert!(text.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn a_role_has_keys_and_a_verifier_that_postgresql_takes() {
        let text = role_verifier(&role_keys().unwrap());
        assert!(text.starts_with("SCRAM-SHA-256$4096:"), "{text}");
    }

    #[tokio::test]
    async fn a_verifier_is_one_that_postgresql_takes_and_holds_no_password() {
        let secret = password().unwrap();
        let text = verifier_beside(&secret, None).await.unwrap();
        assert!(text.starts_with("SCRAM-SHA-256$4096:") && !text.contains(secret.expose()), "{text}");
    }
}

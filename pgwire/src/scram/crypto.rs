//! The handful of functions that RFC 5802 §3 is written in.

use super::ScramError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Bytes of a SHA-256 hash, and so of every key here.
pub(super) const KEY_BYTES: usize = 32;

/// A hash or a key.
pub(super) type Key = [u8; KEY_BYTES];

/// PostgreSQL's `SCRAM_RAW_NONCE_LEN`.
const NONCE_RAW_BYTES: usize = 18;

/// `HMAC(key, parts…)`.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// `H(key)`.
pub(super) fn hash(key: &Key) -> Key {
    Sha256::digest(key).into()
}

/// `one XOR other`, which turns a key into a proof and a proof back into a key.
pub(super) fn xor(one: &Key, other: &Key) -> Key {
    let mut result = *one;
    for (byte, mask) in result.iter_mut().zip(other) {
        *byte ^= mask;
    }
    result
}

/// What both sides derive from a password; the client key alone lets one log in.
pub(super) struct DerivedKeys {
    pub(super) client_key: Zeroizing<Key>,
    pub(super) server_key: Zeroizing<Key>,
}

/// `SaltedPassword := Hi(Normalize(password), salt, i)` and the two keys made of it. This is the
/// expensive part: `iterations` rounds of HMAC.
pub(super) fn derive(password: &str, salt: &[u8], iterations: u32) -> DerivedKeys {
    let normalized = Zeroizing::new(normalize(password).into_owned());
    let mut salted = Zeroizing::new([0; KEY_BYTES]);
    pbkdf2::pbkdf2_hmac::<Sha256>(normalized.as_bytes(), salt, iterations, &mut *salted);
    DerivedKeys {
        client_key: Zeroizing::new(hmac(&*salted, &[b"Client Key"])),
        server_key: Zeroizing::new(hmac(&*salted, &[b"Server Key"])),
    }
}

/// SASLprep (RFC 4013) where it applies. Like PostgreSQL, a password that SASLprep prohibits, or makes
/// empty, is taken as it is rather than refused.
fn normalize(password: &str) -> Cow<'_, str> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => prepared,
        _ => Cow::Borrowed(password),
    }
}

/// Printable randomness that no other exchange has.
pub(super) fn nonce() -> Result<String, ScramError> {
    let mut raw = [0; NONCE_RAW_BYTES];
    getrandom::fill(&mut raw)?;
    Ok(encode(&raw))
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict base64: padded, canonical, nothing else in between.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(super) fn decode_key(text: &str) -> Option<Key> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_like_postgresql_does() {
        // RFC 4013 §3: soft hyphen, compatibility characters; then what cannot be prepared.
        assert_eq!(normalize("I\u{ad}X"), "IX");
        assert_eq!(normalize("\u{2168}"), "IX");
        assert_eq!(normalize("user"), "user");
        assert_eq!(normalize("bell\u{7}"), "bell\u{7}");
        assert_eq!(normalize("\u{627}1"), "\u{627}1");
        assert_eq!(normalize("\u{ad}"), "\u{ad}");
    }

    #[test]
    fn nonces_are_printable_and_differ() {
        let (one, two) = (nonce().unwrap(), nonce().unwrap());
        assert_ne!(one, two);
        assert!(one.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
    }
}

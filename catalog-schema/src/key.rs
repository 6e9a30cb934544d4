//! Secrets at rest: sealed before they reach the catalog, opened after they leave it.
//!
//! A sealed secret is `version(1) | key id(4) | nonce(12) | ciphertext and tag`, AES-256-GCM, with the
//! header and the context (`placement:` and the tenant's id) as associated data, so a value that is copied to another row
//! does not open there.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Generate, Key, KeyInit, Nonce, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use tenancy::Secret;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;
const NONCE_BYTES: usize = 12;

/// The key of all keys: 32 bytes, the same in every process of an installation. Prints nothing.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<Zeroizing<[u8; KEY_BYTES]>>,
    id: [u8; KEY_ID_BYTES],
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key's text is not 32 bytes in base64.
    #[error("the master key must be 32 bytes in base64")]
    BadKey,
    /// The key's file cannot be read.
    #[error("the master key's file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// Sealed under another master key than this process has.
    #[error("the secret is sealed under another master key")]
    OtherKey,
    /// Sealed in a way that only a newer release knows.
    #[error("the secret is sealed by a newer release")]
    NewerFormat,
    /// Cut short, changed, or sealed for another place.
    #[error("the sealed secret is damaged or belongs elsewhere")]
    Damaged,
    /// The system gives no random numbers, or the secret is absurdly large.
    #[error("the secret cannot be sealed")]
    CannotSeal,
}

impl MasterKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> Result<Self, SealError> {
        let key = Key::<Aes256Gcm>::try_generate().map_err(|_| SealError::CannotSeal)?;
        Ok(Self::from_bytes(key.into()))
    }

    /// The key on the only line of the file at `path`, in base64.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        let text = std::fs::read_to_string(path).map_err(|why| SealError::Unreadable {
            path: path.display().to_string(),
            reason: why.to_string(),
        })?;
        Self::from_base64(&Secret::new(text))
    }

    /// The key in base64, as [`Self::to_base64`] writes it. Blanks around it do not matter.
    ///
    /// # Errors
    /// When it is not 32 bytes in base64.
    pub fn from_base64(text: &Secret) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.expose().trim()).map_err(|_| SealError::BadKey)?);
        let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| SealError::BadKey)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key in base64, to be kept in a file.
    #[must_use]
    pub fn to_base64(&self) -> Secret {
        Secret::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Seals `secret` for one place only: it opens with the same `context` and nowhere else.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(context, secret.expose().as_bytes())
    }

    /// The same for a secret that is no text.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn seal_bytes(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = Nonce::<Aes256Gcm>::try_generate().map_err(|_| SealError::CannotSeal)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + secret.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        let associated = associated_data(&sealed, context);
        let payload = Payload { msg: secret, aad: &associated };
        let ciphertext = self.cipher().encrypt(&nonce, payload).map_err(|_| SealError::CannotSeal)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed for the same `context`.
    ///
    /// # Errors
    /// When it was sealed under another key, for another place, by a newer release, or was changed.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        // No copy of it is left behind: the text takes the bytes over as they lie.
        let clear = std::mem::take(&mut *self.open_bytes(context, sealed)?);
        String::from_utf8(clear).map(Secret::new).map_err(|_| SealError::Damaged)
    }

    /// Opens what [`Self::seal_bytes`] sealed for the same `context`. Wiped when dropped.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_bytes(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(SealError::Damaged)?;
        if header.first() != Some(&VERSION) {
            return Err(SealError::NewerFormat);
        }
        if header.get(1..) != Some(self.id.as_slice()) {
            return Err(SealError::OtherKey);
        }
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Damaged)?;
        let nonce = Nonce::<Aes256Gcm>::try_from(nonce).map_err(|_| SealError::Damaged)?;
        let associated = associated_data(header, context);
        let payload = Payload { msg: ciphertext, aad: &associated };
        self.cipher().decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| SealError::Damaged)
    }

    /// A keyed fingerprint: tells whether two messages are the same, and nothing about either to whoever
    /// has only the catalog. A plain hash of a request with a weak password in it could be guessed.
    #[must_use]
    pub fn fingerprint(&self, context: &str, message: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes keys of any length");
        // The length keeps a context's end from being taken for a message's beginning.
        mac.update(&u64::try_from(context.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(context.as_bytes());
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let mut id = [0; KEY_ID_BYTES];
        let digest = Sha256::new().chain_update("tenantry master key id").chain_update(bytes).finalize();
        id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        Self { bytes: Arc::new(Zeroizing::new(bytes)), id }
    }

    fn cipher(&self) -> Aes256Gcm {
        let bytes: &[u8; KEY_BYTES] = &self.bytes;
        Aes256Gcm::new(bytes.into())
    }
}

/// The header is bound to the ciphertext too, or a version could be changed under it.
fn associated_data(header: &[u8], context: &str) -> Vec<u8> {
    [header, context.as_bytes()].concat()
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::{MasterKey, SealError};
    use tenancy::Secret;

    fn key() -> MasterKey {
        MasterKey::generate().unwrap()
    }

    fn secret() -> Secret {
        Secret::new("correct horse".into())
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let key = key();
        let sealed = key.seal("placement:1", &secret()).unwrap();
        assert_eq!(key.open("placement:1", &sealed).unwrap().expose(), "correct horse");
        assert_eq!(key.open("placement:2", &sealed).unwrap_err(), SealError::Damaged);
    }

    #[test]
    fn another_key_is_told_apart_from_damage() {
        let sealed = key().seal("a", &secret()).unwrap();
        assert_eq!(key().open("a", &sealed).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let key = key();
        let sealed = key.seal("a", &secret()).unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open("a", &changed).is_err(), "byte {place}");
            assert!(key.open("a", &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let key = key();
        assert_ne!(key.seal("a", &secret()).unwrap(), key.seal("a", &secret()).unwrap());
    }

    #[test]
    fn a_key_reads_back_from_its_text() {
        let key = key();
        let again = MasterKey::from_base64(&Secret::new(format!("{}\n", key.to_base64().expose()))).unwrap();
        let sealed = key.seal("a", &secret()).unwrap();
        assert_eq!(again.open("a", &sealed).unwrap().expose(), "correct horse");
        for bad in ["", "abc", "AAAA", "!!"] {
            assert!(MasterKey::from_base64(&Secret::new(bad.into())).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_differ_by_key_context_and_message() {
        let key = key();
        let print = key.fingerprint("a", b"bc");
        assert_eq!(key.fingerprint("a", b"bc"), print);
        assert_ne!(key.fingerprint("ab", b"c"), print);
        assert_ne!(key.fingerprint("a", b"bd"), print);
        assert_ne!(MasterKey::generate().unwrap().fingerprint("a", b"bc"), print);
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key()), "MasterKey([redacted])");
    }
}

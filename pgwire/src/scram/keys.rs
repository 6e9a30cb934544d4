//! What logs a client in, in place of the password.

use super::crypto::{self, KEY_BYTES, Key};
use super::message::{check_iterations, salt_fits};
use super::{ITERATIONS_DEFAULT, SALT_BYTES, ScramError, Verifier};
use std::fmt;
use subtle::ConstantTimeEq;
use tenancy::Secret;
use zeroize::Zeroizing;

/// The layout of [`ClientKeys::to_bytes`]: version, rounds (4 bytes), client key, server key, salt.
const VERSION: u8 = 1;

/// Bytes in front of the salt.
const FIXED_BYTES: usize = 1 + 4 + 2 * KEY_BYTES;

/// What a password, a salt and a number of rounds come to, and all that a login needs: no hashing of a password
/// is left to do. They can also be made without any password ([`ClientKeys::generate`]).
///
/// They are as good as the password: wiped when dropped, never shown. They hold for one role whose verifier they
/// match; a server that shows another salt or other rounds has another verifier by now
/// ([`ScramError::KeysOutdated`]).
#[derive(Clone)]
pub struct ClientKeys {
    pub(super) client_key: Zeroizing<Key>,
    pub(super) server_key: Zeroizing<Key>,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl ClientKeys {
    /// Makes keys with 256 bits of randomness each, and the verifier that lets them in: its text is what
    /// `CREATE ROLE … PASSWORD` takes. There is no password, so there is none to guess or to leak.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<(Self, Verifier), ScramError> {
        let mut keys = Self {
            client_key: Zeroizing::default(),
            server_key: Zeroizing::default(),
            salt: vec![0; SALT_BYTES],
            // Nobody hashes that often for these keys; servers and tools expect to see the usual number.
            iterations: ITERATIONS_DEFAULT,
        };
        getrandom::fill(&mut *keys.client_key)?;
        getrandom::fill(&mut *keys.server_key)?;
        getrandom::fill(&mut keys.salt)?;
        let verifier = Verifier::from_keys(&keys);
        Ok((keys, verifier))
    }

    /// Makes the keys of a password, a salt and a number of rounds. Hashes for milliseconds.
    ///
    /// # Errors
    /// A number of rounds out of bounds; a salt that is empty or longer than 256 bytes.
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Result<Self, ScramError> {
        let iterations = check_iterations(iterations).ok_or(ScramError::Iterations)?;
        if !salt_fits(salt) {
            return Err(ScramError::Verifier);
        }
        let keys = crypto::derive(password.expose(), salt, iterations);
        let (client_key, server_key) = (keys.client_key, keys.server_key);
        Ok(Self { client_key, server_key, salt: salt.to_vec(), iterations })
    }

    /// Everything, to be sealed and stored. As secret as the keys.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it at once: growing would leave copies behind that nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + self.salt.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.iterations.to_be_bytes());
        bytes.extend_from_slice(&*self.client_key);
        bytes.extend_from_slice(&*self.server_key);
        bytes.extend_from_slice(&self.salt);
        bytes
    }

    /// Reads what [`ClientKeys::to_bytes`] made.
    ///
    /// # Errors
    /// Bytes of another version or layout, or values out of bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScramError> {
        let (&[version, a, b, c, d], rest) = bytes.split_first_chunk().ok_or(ScramError::Keys)?;
        let (client_key, rest) = rest.split_first_chunk::<KEY_BYTES>().ok_or(ScramError::Keys)?;
        let (server_key, salt) = rest.split_first_chunk::<KEY_BYTES>().ok_or(ScramError::Keys)?;
        let iterations = check_iterations(u32::from_be_bytes([a, b, c, d])).ok_or(ScramError::Keys)?;
        if version != VERSION || !salt_fits(salt) {
            return Err(ScramError::Keys);
        }
        Ok(Self {
            client_key: Zeroizing::new(*client_key),
            server_key: Zeroizing::new(*server_key),
            salt: salt.to_vec(),
            iterations,
        })
    }

    /// Whether a server that shows this salt and asks for these rounds may have the verifier of these keys.
    pub(super) fn fit(&self, salt: &[u8], iterations: u32) -> bool {
        self.salt == salt && self.iterations == iterations
    }
}

/// In constant time as far as the keys go. Salts of two sets of keys hardly ever agree, so this is cheap.
impl PartialEq for ClientKeys {
    fn eq(&self, other: &Self) -> bool {
        self.fit(&other.salt, other.iterations)
            && bool::from(
                self.client_key.ct_eq(&*other.client_key) & self.server_key.ct_eq(&*other.server_key),
            )
    }
}

impl Eq for ClientKeys {}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys([redacted])")
    }
}

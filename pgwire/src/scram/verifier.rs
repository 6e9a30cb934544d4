//! What a server stores instead of a password.

use super::crypto::{self, Key};
use super::message::{iterations, salt_fits};
use super::{ClientKeys, ITERATIONS_DEFAULT, SALT_BYTES, SCRAM_SHA_256, ScramError};
use std::fmt;
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};
use tenancy::Secret;

/// What a server stores instead of a password: enough to recognise who knows it, not enough to log in.
///
/// It is still worth hiding: it allows guessing passwords offline and posing as the server. So `Debug`
/// is redacted, and only `Display` writes the text that belongs into a catalog:
/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, byte for byte what PostgreSQL stores
/// (<https://www.postgresql.org/docs/current/catalog-pg-authid.html>).
#[derive(Clone)]
pub struct Verifier {
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
    /// Nobody's verifier: whatever is checked against it fails.
    mock: bool,
}

impl Verifier {
    /// Makes a verifier for a password with a fresh salt and the usual number of rounds.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate(password: &Secret) -> Result<Self, ScramError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        Self::derive(password, &salt, ITERATIONS_DEFAULT)
    }

    /// Makes the verifier for a password, a salt and a number of rounds.
    ///
    /// # Errors
    /// A number of rounds out of bounds; a salt that is empty or longer than 256 bytes.
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Result<Self, ScramError> {
        ClientKeys::derive(password, salt, iterations).map(|keys| Self::from_keys(&keys))
    }

    /// Makes the verifier that lets these keys in.
    #[must_use]
    pub fn from_keys(keys: &ClientKeys) -> Self {
        Self {
            salt: keys.salt.clone(),
            iterations: keys.iterations,
            stored_key: crypto::hash(&keys.client_key),
            server_key: *keys.server_key,
            mock: false,
        }
    }

    /// Makes the verifier for another password of the same person: it shares the salt of this one, so that
    /// one exchange can try both. What a salt is for holds all the same: no two people share one.
    #[must_use]
    pub fn beside(&self, password: &Secret) -> Self {
        Self::derive(password, &self.salt, self.iterations).expect("they were within bounds before")
    }

    /// Can both be tried in one exchange?
    pub(super) fn is_salted_like(&self, other: &Self) -> bool {
        self.salt == other.salt && self.iterations == other.iterations
    }

    /// Makes a verifier of nobody, to go through the motions with somebody unknown. The salt depends
    /// on `seed` and `identity` only, so that asking twice does not tell; `seed` must be secret, and
    /// the same after a restart and in every replica. `identity` is whatever makes a person one: the
    /// tenant with the user.
    #[must_use]
    pub fn mock(seed: &[u8; 32], identity: &str) -> Self {
        let derive = |purpose: &[u8]| crypto::hmac(seed, &[purpose, identity.as_bytes()]);
        let mut salt = derive(b"salt\0").to_vec();
        salt.truncate(SALT_BYTES);
        Self {
            salt,
            iterations: ITERATIONS_DEFAULT,
            stored_key: derive(b"stored key\0"),
            server_key: derive(b"server key\0"),
            mock: true,
        }
    }

    /// Reads the text that PostgreSQL stores.
    ///
    /// # Errors
    /// Another form (MD5, a password in clear), or a number of rounds out of bounds.
    pub fn parse(text: &str) -> Result<Self, ScramError> {
        let malformed = ScramError::Verifier;
        let mut parts = text.split('$');
        let (Some(SCRAM_SHA_256), Some(salting), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let (rounds, salt) = salting.split_once(':').ok_or(ScramError::Verifier)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(ScramError::Verifier)?;
        let iterations = iterations(rounds).map_err(|error| match error {
            ScramError::Iterations => error,
            _ => ScramError::Verifier,
        })?;
        let salt = crypto::decode(salt).filter(|salt| salt_fits(salt)).ok_or(ScramError::Verifier)?;
        let stored_key = crypto::decode_key(stored_key).ok_or(ScramError::Verifier)?;
        let server_key = crypto::decode_key(server_key).ok_or(malformed)?;
        Ok(Self { salt, iterations, stored_key, server_key, mock: false })
    }

    /// Whether this is the verifier of a password, for protocols that send the password itself. Costs
    /// all rounds of hashing (milliseconds: keep it off threads that serve others), takes the same
    /// time for any password of one length, and is false for a mock.
    #[must_use]
    pub fn check_password(&self, password: &Secret) -> bool {
        let keys = crypto::derive(password.expose(), &self.salt, self.iterations);
        self.accepts(&keys.client_key).into()
    }

    /// Whether a client key is the right one, in constant time.
    pub(super) fn accepts(&self, client_key: &Key) -> Choice {
        let genuine = Choice::from(u8::from(!self.mock));
        crypto::hash(client_key).ct_eq(&self.stored_key) & genuine
    }
}

impl FromStr for Verifier {
    type Err = ScramError;

    fn from_str(text: &str) -> Result<Self, ScramError> {
        Self::parse(text)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, iterations) = (crypto::encode(&self.salt), self.iterations);
        let (stored, server) = (crypto::encode(&self.stored_key), crypto::encode(&self.server_key));
        write!(f, "{SCRAM_SHA_256}${iterations}:{salt}${stored}:{server}")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier([redacted])")
    }
}

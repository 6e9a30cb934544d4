//! Passwords that nobody chose.

use crate::PostgresError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tenancy::Secret;

/// 192 bits, 32 characters that need no escaping in a connection string.
const RANDOM_BYTES: usize = 24;

/// A new random password that can stand in a URL as it is.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn random_password() -> Result<Secret, PostgresError> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| PostgresError::Randomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

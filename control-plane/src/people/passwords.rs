//! People's passwords: hashed slowly, beside the threads that serve requests, and only so many at once.

use crate::secrets;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::time::Duration;
use tenancy::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The OWASP Password Storage Cheat Sheet's first choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a salt (RFC 9106 §3.1).
const SALT_BYTES: usize = 16;

/// The shortest password: NIST SP 800-63B asks for eight, and for fifteen where nothing else is asked.
const CHARS_MIN: usize = 12;

/// The longest password, in bytes. Hashing takes no longer for a long one.
const BYTES_MAX: usize = 256;

/// How long a password waits for its turn to be hashed. Whoever waits longer would not believe in it any more.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What the password of somebody who does not exist is compared with: the same work, and nothing hashes to it.
const STAND_IN: &str = "$argon2id$v=19$m=19456,t=2,p=1$c3RhbmQtaW4gb2Ygbm9ib2R5\
                        $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed")]
    Busy,
    /// It may not be one.
    #[error("a password has at least {CHARS_MIN} characters and at most {BYTES_MAX} bytes")]
    Unfit,
    /// The system has no randomness to give, or no memory, or we are shutting down.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes passwords.
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    wait_max: Duration,
}

impl Passwords {
    /// At most so many at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), wait_max: WAIT_MAX }
    }

    /// Refuses what may not be a password. Costs nothing.
    pub(crate) fn check_form(password: &Secret) -> Result<(), PasswordError> {
        let text = password.expose();
        if text.chars().count() < CHARS_MIN || text.len() > BYTES_MAX {
            return Err(PasswordError::Unfit);
        }
        Ok(())
    }

    /// What the catalog keeps of a new password: a PHC string.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, PasswordError> {
        Self::check_form(password)?;
        let salt = secrets::random_bytes::<SALT_BYTES>().map_err(|_| PasswordError::Failed)?;
        let password = password.clone();
        self.beside(move || {
            let hash = argon2()?.hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| Secret::new(hash.to_string())).map_err(|_| PasswordError::Failed)
        })
        .await?
    }

    /// Is this the password that was hashed? The same work is done where there is none.
    pub(crate) async fn check(
        &self,
        password: &Secret,
        hash: Option<&Secret>,
    ) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| Secret::new(STAND_IN.to_owned()));
        let password = password.clone();
        // Nobody has one that is longer, and the work does not depend on it.
        let fits = password.expose().len() <= BYTES_MAX;
        let checked = self.beside(move || {
            let same = argon2()?.verify_password(password.expose().as_bytes(), hash.expose());
            Ok::<_, PasswordError>(same.is_ok())
        });
        Ok(checked.await?? && known && fits)
    }

    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = timeout(self.wait_max, Arc::clone(&self.places).acquire_owned()).await;
        let place: OwnedSemaphorePermit =
            place.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Failed)?;
        // The place goes along: who stops waiting for the work does not end it.
        let worked = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        worked.await.map_err(|_| PasswordError::Failed)
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_its_hash_and_no_other_does() {
        let passwords = Passwords::new(1);
        let hash = passwords.hash(&secret("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        assert!(passwords.check(&secret("correct horse"), Some(&hash)).await.unwrap());
        assert!(!passwords.check(&secret("Correct horse"), Some(&hash)).await.unwrap());
        assert!(!passwords.check(&secret("correct horse"), None).await.unwrap());
        let again = passwords.hash(&secret("correct horse")).await.unwrap();
        assert_ne!(hash.expose(), again.expose());
    }

    #[tokio::test]
    async fn the_stand_in_takes_the_same_work() {
        use argon2::password_hash::phc::PasswordHash;
        let hash = Passwords::new(1).hash(&secret("correct horse")).await.unwrap();
        let (stand_in, real) =
            (PasswordHash::new(STAND_IN).unwrap(), PasswordHash::new(hash.expose()).unwrap());
        assert_eq!(stand_in.params, real.params);
        assert_eq!(stand_in.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[tokio::test]
    async fn what_is_no_password_is_not_hashed() {
        let passwords = Passwords::new(1);
        for text in ["", "short", &"x".repeat(257)] {
            assert!(matches!(passwords.hash(&secret(text)).await, Err(PasswordError::Unfit)), "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let passwords = Passwords { wait_max: Duration::from_millis(10), ..Passwords::new(1) };
        let _taken = Arc::clone(&passwords.places).acquire_owned().await.unwrap();
        assert!(matches!(passwords.check(&secret("x"), None).await, Err(PasswordError::Busy)));
    }
}

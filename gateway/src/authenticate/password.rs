//! Passwords that arrive in clear, inside a connection string over HTTP.
//!
//! Checking one against its SCRAM verifier costs 4,096 rounds of hashing by design. So checks run on
//! threads of their own, few at a time, and a password that was right is remembered: not itself, but a
//! hash of it under a key that exists in this process only, bound to the verifier it was right for. A
//! changed verifier is another verifier, and nothing is remembered of it.
//!
//! What this module must never do: let somebody unknown cost less than somebody with a wrong password.

use super::{Identity, MockSeed, verifiers_of};
use crate::error::Refusal;
use catalog_schema::RouteRecord;
use pgwire::scram::{Candidates, Verifier};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tenancy::{ErrorKind, Secret, UserName};
use tokio::sync::Semaphore;

/// Checks at once. A check takes about two milliseconds of one core, so this allows some thousand
/// first logins a second and leaves the other cores to the relay.
const CHECKS_AT_ONCE_MAX: usize = 2;

/// The longest that a check waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Passwords remembered in one generation; there are two. Past that the older ones are forgotten, which
/// costs their owners one check.
const REMEMBERED_MAX: usize = 4096;

type Hash = [u8; 32];

/// Who wants in, with what.
pub struct Attempt<'a> {
    /// The tenant's name as given.
    pub tenant: &'a str,
    /// The user's name; `None` when the text given can be none.
    pub user: Option<&'a UserName>,
    /// The user as the client wrote it, for the message back to it.
    pub user_as_given: &'a str,
    /// The password in clear.
    pub password: &'a Secret,
}

/// Checks passwords and remembers those that were right. One for the whole gateway.
pub struct PasswordChecks {
    turns: Arc<Semaphore>,
    /// `None`: the system had no randomness to give, and nothing is remembered.
    key: Option<Hash>,
    remembered: Mutex<Generations>,
}

impl Default for PasswordChecks {
    fn default() -> Self {
        let mut key = Hash::default();
        let random = getrandom::fill(&mut key).is_ok();
        Self {
            turns: Arc::new(Semaphore::new(CHECKS_AT_ONCE_MAX)),
            key: random.then_some(key),
            remembered: Mutex::default(),
        }
    }
}

impl PasswordChecks {
    /// Checks a password, and says whose it is. Without a route or such a user it takes as long, and fails.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`], or [`ErrorKind::QueueFull`] when too many others are checked first.
    pub async fn check(
        &self,
        route: Option<&RouteRecord>,
        attempt: &Attempt<'_>,
        seed: &MockSeed,
    ) -> Result<Identity, Refusal> {
        let known = route.zip(attempt.user).and_then(|(route, user)| verifiers_of(route, user));
        let verifiers = known.unwrap_or_else(|| {
            let (seed, user) = seed.stand_in(route, attempt.tenant, attempt.user_as_given);
            Candidates::mock(&seed, user)
        });
        let proof = |verifier: &Verifier| self.key.map(|key| Proof::new(&key, verifier, attempt.password));
        let is_remembered =
            |verifier: &&Verifier| proof(verifier).is_some_and(|proof| self.remembered().knows(&proof));
        let mut right = verifiers.iter().find(is_remembered).cloned();
        if right.is_none() {
            right = self.compute(verifiers, attempt.password.clone()).await?;
            if let Some(proof) = right.as_ref().and_then(proof) {
                self.remembered().add(&proof);
            }
        }
        let holder = |verifier| Identity::by_password(route?, attempt.user?, &verifier);
        right.and_then(holder).ok_or_else(|| Refusal::unauthenticated(attempt.user_as_given))
    }

    /// The verifier that the password is right for.
    async fn compute(&self, verifiers: Candidates, password: Secret) -> Result<Option<Verifier>, Refusal> {
        let turn = tokio::time::timeout(TURN_MAX, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_elapsed| {
                Refusal::new(ErrorKind::QueueFull, "too many passwords are being checked")
                    .hint("try again in a moment, or use an API key, which is checked at once")
            })?
            .expect("the turns' semaphore is never closed");
        // The turn goes along: a client that leaves does not make room before its check has ended.
        let checked = tokio::task::spawn_blocking(move || {
            let right = verifiers.check_password(&password).cloned();
            drop(turn);
            right
        });
        checked
            .await
            .map_err(|_panicked| Refusal::new(ErrorKind::Internal, "the password could not be checked"))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a password is right for a verifier.
struct Proof {
    verifier: Hash,
    password: Hash,
}

impl Proof {
    fn new(key: &Hash, verifier: &Verifier, password: &Secret) -> Self {
        let verifier = keyed_hash(key, b"verifier", verifier.to_string().as_bytes(), b"");
        let password = keyed_hash(key, b"password", &verifier, password.expose().as_bytes());
        Self { verifier, password }
    }
}

/// The key and the purposes have one length each and `fixed` is hashed alone or is itself a hash, so no
/// two inputs run together.
fn keyed_hash(key: &Hash, purpose: &[u8; 8], fixed: &[u8], rest: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    for part in [&key[..], purpose, fixed, rest] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The right password of each verifier, hashed. What is used moves into the younger generation.
#[derive(Default)]
struct Generations {
    young: HashMap<Hash, Hash>,
    old: HashMap<Hash, Hash>,
}

impl Generations {
    fn knows(&mut self, proof: &Proof) -> bool {
        if let Some(password) = self.young.get(&proof.verifier) {
            return password.ct_eq(&proof.password).into();
        }
        let Some(password) = self.old.remove(&proof.verifier) else { return false };
        let right = password.ct_eq(&proof.password).into();
        self.add(&Proof { verifier: proof.verifier, password });
        right
    }

    fn add(&mut self, proof: &Proof) {
        if self.young.len() >= REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(proof.verifier, proof.password);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn verifier(password: &str) -> Verifier {
        Verifier::derive(&secret(password), b"some salt", 4096).expect("a good salt")
    }

    #[test]
    fn a_right_password_is_remembered_for_its_verifier_alone() {
        let (first, second) = (verifier("one"), Verifier::generate(&secret("one")).expect("randomness"));
        let mut remembered = Generations::default();
        remembered.add(&Proof::new(&[7; 32], &first, &secret("one")));
        assert!(remembered.knows(&Proof::new(&[7; 32], &first, &secret("one"))));
        assert!(!remembered.knows(&Proof::new(&[7; 32], &first, &secret("two"))));
        assert!(!remembered.knows(&Proof::new(&[7; 32], &second, &secret("one"))));
        assert!(!remembered.knows(&Proof::new(&[8; 32], &first, &secret("one"))));
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let hash = |number: usize| {
            let mut hash = Hash::default();
            hash[..8].copy_from_slice(&number.to_be_bytes());
            hash
        };
        let proof = |number| Proof { verifier: hash(number), password: hash(number) };
        let mut remembered = Generations::default();
        for number in 0..5 * REMEMBERED_MAX {
            remembered.add(&proof(number));
            assert!(remembered.knows(&proof(0)), "after {number}");
        }
        assert!(remembered.young.len() + remembered.old.len() <= 2 * REMEMBERED_MAX);
        assert!(!remembered.knows(&proof(1)));
    }

    #[tokio::test]
    async fn a_check_tells_right_from_wrong_and_never_accepts_nobodys() {
        let checks = PasswordChecks::default();
        let is_right = async |candidates: Candidates, password| {
            checks.compute(candidates, secret(password)).await.expect("a turn").is_some()
        };
        assert!(is_right(verifier("one").into(), "one").await);
        assert!(!is_right(verifier("one").into(), "two").await);
        assert!(!is_right(Candidates::mock(&[0; 32], "app"), "one").await);
    }
}

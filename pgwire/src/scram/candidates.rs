//! The verifiers of one person who has several passwords.

use super::Verifier;
use super::crypto;
use tenancy::Secret;

/// The verifiers of one person's passwords, any of which will do.
///
/// An exchange shows one salt before it knows which password the client has, so only passwords with one
/// salt can be tried in it: see [`Verifier::beside`].
#[derive(Debug, Clone)]
pub struct Candidates {
    pub(super) first: Verifier,
    pub(super) others: Vec<Verifier>,
}

impl Candidates {
    /// The verifiers that share salt and rounds with the first; the rest cannot be tried. `None` when there
    /// is none.
    #[must_use]
    pub fn of(verifiers: impl IntoIterator<Item = Verifier>) -> Option<Self> {
        let mut verifiers = verifiers.into_iter();
        let first = verifiers.next()?;
        let others = verifiers.filter(|other| other.is_salted_like(&first)).collect();
        Some(Self { first, others })
    }

    /// See [`Verifier::mock`].
    #[must_use]
    pub fn mock(seed: &[u8; 32], identity: &str) -> Self {
        Verifier::mock(seed, identity).into()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Verifier> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The verifier that this is the password of. Hashes once, however many there are; see
    /// [`Verifier::check_password`].
    #[must_use]
    pub fn check_password(&self, password: &Secret) -> Option<&Verifier> {
        let keys = crypto::derive(password.expose(), &self.first.salt, self.first.iterations);
        // All are looked at, so that the time does not tell which one it was.
        self.iter().filter(|verifier| verifier.accepts(&keys.client_key).into()).last()
    }
}

impl From<Verifier> for Candidates {
    fn from(verifier: Verifier) -> Self {
        Self { first: verifier, others: Vec::new() }
    }
}

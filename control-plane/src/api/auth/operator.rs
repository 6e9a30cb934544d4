//! The operator's token.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tenancy::Secret;

/// The operator token, as the only thing that is compared: its hash.
///
/// Hashes have one length, so that the comparison takes the same time however wrong the token and
/// however long.
#[derive(Clone)]
pub(crate) struct OperatorToken(Arc<[u8; 32]>);

impl OperatorToken {
    /// Takes the token as configured.
    pub(crate) fn new(token: &Secret) -> Self {
        Self(Arc::new(Sha256::digest(token.expose().as_bytes()).into()))
    }

    /// Is this the token of which `shown` is the SHA-256?
    pub(super) fn has_hash(&self, shown: &[u8; 32]) -> bool {
        self.0.as_slice().ct_eq(shown.as_slice()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_matches() {
        let token = OperatorToken::new(&Secret::new("correct horse".into()));
        let hash = |text: &str| <[u8; 32]>::from(Sha256::digest(text.as_bytes()));
        assert!(token.has_hash(&hash("correct horse")));
        for wrong in ["", "correct", "correct horse ", "Correct horse"] {
            assert!(!token.has_hash(&hash(wrong)), "{wrong}");
        }
    }
}

//! The key by which a client cancels its running query from another connection.

use std::fmt;
use std::hash::{Hash, Hasher};
use subtle::ConstantTimeEq;

/// Process id and secret of one session, as sent in BackendKeyData and given back in CancelRequest
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS>).
///
/// This is the key of protocol 3.0; the longer keys of 3.2 are never negotiated by the gateway.
/// Comparing takes the same time wherever keys differ, and `Debug` does not show the secret.
#[derive(Clone, Copy)]
pub struct CancelKey {
    /// Which session. Not secret: PostgreSQL shows it in `pg_stat_activity`.
    pub process_id: i32,
    /// What proves the right to cancel that session.
    pub secret: i32,
}

impl CancelKey {
    fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.process_id.to_be_bytes(), self.secret.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

impl PartialEq for CancelKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes().ct_eq(&other.to_bytes()).into()
    }
}

impl Eq for CancelKey {}

impl Hash for CancelKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelKey").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_means_both_halves_equal() {
        let key = CancelKey { process_id: 1, secret: 2 };
        assert_eq!(key, CancelKey { process_id: 1, secret: 2 });
        assert_ne!(key, CancelKey { process_id: 1, secret: 3 });
        assert_ne!(key, CancelKey { process_id: 0, secret: 2 });
    }

    #[test]
    fn debug_hides_the_secret() {
        let shown = format!("{:?}", CancelKey { process_id: 11, secret: 424_242 });
        assert!(shown.contains("11") && !shown.contains("424242"), "{shown}");
    }
}

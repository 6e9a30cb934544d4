//! Answers that were given under an idempotency key.

use tenancy::Secret;

/// What was answered the first time. The body may hold secrets that are shown once, so it is stored sealed.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Secret,
}

/// The context under which a stored answer is sealed.
pub(crate) fn response_context(actor: &str, key: &str) -> String {
    format!("idempotency:{}:{actor}:{key}", actor.len())
}

//! Why an exchange failed.

use super::ITERATIONS_MAX;

/// Why an exchange failed. Nothing that a peer sent stands in an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The password is wrong, or there is nobody with it: the same by design. Everything else is
    /// a broken message rather than a failed login.
    #[error("password authentication failed")]
    Rejected,
    /// The peer's message does not follow the grammar of RFC 5802 §7.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// A message longer than any honest one.
    #[error("SCRAM message is too long")]
    TooLong,
    /// The client insists on channel binding.
    #[error("channel binding is not offered here: SCRAM-SHA-256-PLUS is not supported")]
    ChannelBindingNotOffered,
    /// What the client signed about channel binding is not what it said at first: somebody between
    /// the two changed it.
    #[error("SCRAM channel binding check failed")]
    ChannelBindingMismatch,
    /// The client asks to act as somebody else.
    #[error("SCRAM authorization identity is not supported")]
    AuthorizationIdentity,
    /// The peer requires an extension. None exist.
    #[error("SCRAM extension is not supported")]
    Extension,
    /// The peer's nonce is not the one of this exchange.
    #[error("SCRAM nonce does not match")]
    Nonce,
    /// A number of rounds outside the bounds.
    #[error("SCRAM iteration count must be between 1 and {ITERATIONS_MAX}")]
    Iterations,
    /// The server let us in but does not know the verifier: it is not the server it seems to be.
    #[error("server did not prove that it knows the verifier")]
    ServerNotProven,
    /// Text that is no verifier in PostgreSQL's form.
    #[error("malformed SCRAM-SHA-256 verifier")]
    Verifier,
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

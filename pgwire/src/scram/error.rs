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
    /// The client chose a mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// The server offers no mechanism that we can use.
    #[error("server does not offer SCRAM-SHA-256")]
    NotOffered,
    /// The client chose the mechanism without channel binding, and binds.
    #[error("client selected SCRAM-SHA-256 without channel binding, but its message binds")]
    ChannelBindingUnasked,
    /// The client chose the mechanism with channel binding, and does not bind.
    #[error("client selected SCRAM-SHA-256-PLUS, but its message does not bind")]
    ChannelBindingMissing,
    /// The client binds to something else than the server's certificate.
    #[error("unsupported SCRAM channel binding type")]
    ChannelBindingKind,
    /// The client could bind but saw no offer, although one was made: somebody between the two took it out.
    #[error("SCRAM channel binding negotiation error: the client saw no offer of channel binding")]
    ChannelBindingDowngrade,
    /// What the client signed about channel binding is not what it said at first, or is not bound to this
    /// connection: somebody is between the two.
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
    /// The server shows another salt or other rounds than our keys were made with.
    #[error("keys do not fit the role: its password was changed by somebody else")]
    KeysOutdated,
    /// Stored bytes that are no keys.
    #[error("malformed SCRAM keys")]
    Keys,
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

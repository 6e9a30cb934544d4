//! Every failure that a client can see, and the one table that says how it looks on each protocol.
//!
//! Code below raises a [`Refusal`]: a kind and words that are safe to show. What must not be shown
//! (addresses, server messages before authentication, secrets) is logged where it happens and never
//! enters a refusal.

use hyper::StatusCode;
use pgwire::SqlState;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;
use tenancy::ErrorKind;

/// Why a client did not get what it asked for, in words it may see.
#[derive(Debug, Clone)]
pub struct Refusal {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with its message: lower case, no full stop, nothing secret.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says when to try again, where that is known.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// When to try again, where that is known.
    #[must_use]
    pub fn retry_pause(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What went wrong; also the metric label.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the user can do about it, when there is something.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Unknown tenant, unknown user and wrong password: one answer, so that none can be told apart.
    #[must_use]
    pub fn unauthenticated(user: &str) -> Self {
        Self::new(ErrorKind::Unauthenticated, format!("password authentication failed for user \"{user}\""))
    }

    /// Is there no use in the client's staying connected?
    #[must_use]
    pub const fn ends_session(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::TenantSuspended
                | ErrorKind::TenantUnavailable
                | ErrorKind::Terminated
                | ErrorKind::Draining
                | ErrorKind::Internal
        )
    }

    /// This process is about to end.
    #[must_use]
    pub fn draining() -> Self {
        Self::new(ErrorKind::Draining, "terminating connection: the gateway is shutting down")
            .hint("connect again")
    }

    /// The client broke the protocol in the way described.
    #[must_use]
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::ProtocolViolation, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for Refusal {}

/// A message of the client's cannot be written on to the server, because a name or value in it does not
/// fit the protocol.
impl From<pgwire::WriteError> for Refusal {
    fn from(error: pgwire::WriteError) -> Self {
        Self::protocol(error.to_string())
    }
}

/// How a kind of failure looks on the PostgreSQL wire.
/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[must_use]
pub const fn sqlstate(kind: ErrorKind) -> SqlState {
    match kind {
        ErrorKind::TenantMissing
        | ErrorKind::TenantConflict
        | ErrorKind::TlsRequired
        | ErrorKind::AddressNotAllowed => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ErrorKind::Unauthenticated => SqlState::INVALID_PASSWORD,
        ErrorKind::TenantUnknown => SqlState::INVALID_CATALOG_NAME,
        ErrorKind::Forbidden => SqlState::INSUFFICIENT_PRIVILEGE,
        ErrorKind::TenantSuspended
        | ErrorKind::TenantUnavailable
        | ErrorKind::TenantPaused
        | ErrorKind::CatalogUnavailable
        | ErrorKind::IssuerUnavailable
        | ErrorKind::ClusterStarting => SqlState::CANNOT_CONNECT_NOW,
        ErrorKind::ClientLimit
        | ErrorKind::AddressLimited
        | ErrorKind::QueueFull
        | ErrorKind::CheckoutTimeout
        | ErrorKind::LongHolds
        | ErrorKind::ClusterFull => SqlState::TOO_MANY_CONNECTIONS,
        ErrorKind::ClusterUnavailable | ErrorKind::ServerLost => SqlState::CONNECTION_FAILURE,
        ErrorKind::ClusterMismatch => SqlState::SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
        ErrorKind::ProtocolViolation | ErrorKind::ClientTimeout => SqlState::PROTOCOL_VIOLATION,
        ErrorKind::RateLimited => SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        ErrorKind::TooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
        ErrorKind::Unsupported | ErrorKind::NotAcceptable | ErrorKind::FeatureOff => {
            SqlState::FEATURE_NOT_SUPPORTED
        }
        ErrorKind::Cancelled | ErrorKind::LoginTimeout | ErrorKind::QueryTimeout => SqlState::QUERY_CANCELED,
        ErrorKind::StorageFull => SqlState::READ_ONLY_SQL_TRANSACTION,
        ErrorKind::TransactionTimeout => SqlState::TRANSACTION_TIMEOUT,
        ErrorKind::IdleInTransaction => SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ErrorKind::ClientIdle | ErrorKind::PinnedIdle => SqlState::IDLE_SESSION_TIMEOUT,
        ErrorKind::Terminated | ErrorKind::Draining => SqlState::ADMIN_SHUTDOWN,
        ErrorKind::Internal => SqlState::INTERNAL_ERROR,
    }
}

/// How a kind of failure looks over HTTP.
#[must_use]
pub const fn http_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::TenantMissing | ErrorKind::ProtocolViolation | ErrorKind::Cancelled => {
            StatusCode::BAD_REQUEST
        }
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::TenantUnknown => StatusCode::NOT_FOUND,
        ErrorKind::TenantConflict
        | ErrorKind::TlsRequired
        | ErrorKind::Forbidden
        | ErrorKind::AddressNotAllowed
        | ErrorKind::FeatureOff
        | ErrorKind::StorageFull
        | ErrorKind::TenantSuspended => StatusCode::FORBIDDEN,
        ErrorKind::TenantUnavailable
        | ErrorKind::TenantPaused
        | ErrorKind::CatalogUnavailable
        | ErrorKind::IssuerUnavailable
        | ErrorKind::ClusterUnavailable
        | ErrorKind::ClusterStarting
        | ErrorKind::ClusterFull
        | ErrorKind::Terminated
        | ErrorKind::Draining => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::ClientLimit
        | ErrorKind::RateLimited
        | ErrorKind::AddressLimited
        | ErrorKind::QueueFull
        | ErrorKind::CheckoutTimeout
        | ErrorKind::LongHolds => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::ClusterMismatch | ErrorKind::ServerLost => StatusCode::BAD_GATEWAY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ErrorKind::ClientTimeout
        | ErrorKind::LoginTimeout
        | ErrorKind::IdleInTransaction
        | ErrorKind::ClientIdle
        | ErrorKind::PinnedIdle => StatusCode::REQUEST_TIMEOUT,
        // The statement took too long, not the request that asked for it.
        ErrorKind::QueryTimeout | ErrorKind::TransactionTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tenant_user_and_password_share_one_answer() {
        assert_eq!(sqlstate(ErrorKind::Unauthenticated), SqlState::INVALID_PASSWORD);
        assert_eq!(http_status(ErrorKind::Unauthenticated), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn only_our_own_mistakes_are_internal() {
        for kind in ErrorKind::ALL {
            let internal = kind == ErrorKind::Internal;
            assert_eq!(sqlstate(kind) == SqlState::INTERNAL_ERROR, internal, "{}", kind.as_str());
            assert_eq!(http_status(kind) == StatusCode::INTERNAL_SERVER_ERROR, internal, "{}", kind.as_str());
        }
    }

    #[test]
    fn what_may_be_retried_says_so_over_http() {
        for kind in ErrorKind::ALL.into_iter().filter(|kind| kind.retryable()) {
            let status = http_status(kind).as_u16();
            assert!(matches!(status, 429 | 503), "{}: {status}", kind.as_str());
        }
    }
}

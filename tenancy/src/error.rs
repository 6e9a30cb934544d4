//! What can go wrong, in words that no protocol owns.

/// The kinds of failure that a client of the gateway or the API can meet.
///
/// The gateway maps each to a SQLSTATE and an HTTP status in one table, the control plane to an HTTP
/// status and a problem type in another; both matches are exhaustive, so a new kind cannot be
/// forgotten. The word is also the label of the error metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No tenant was named.
    TenantMissing,
    /// Two sources name different tenants.
    TenantConflict,
    /// There is no such tenant. Said only to those from whom it is no secret which there are.
    TenantUnknown,
    /// Unknown tenant, unknown user or wrong password: from outside they are one.
    Unauthenticated,
    /// The client connects in clear where only TLS is served.
    TlsRequired,
    /// Known, but not allowed to do this.
    Forbidden,
    /// The tenant may not be reached from the client's address. Said only after authentication.
    AddressNotAllowed,
    /// The tenant does not have the feature that the client asked for. Said only after authentication.
    FeatureOff,
    /// The tenant is suspended. Said only after authentication.
    TenantSuspended,
    /// The tenant is not ready: being provisioned, moved or purged. Said only after authentication.
    TenantUnavailable,
    /// An operator has paused the tenant and did not resume it in time. Said only after authentication.
    TenantPaused,
    /// The tenant is not cached and the catalog cannot be asked.
    CatalogUnavailable,
    /// The keys of the identity provider that a token is from cannot be had.
    IssuerUnavailable,
    /// The tenant already has as many clients as its plan allows.
    ClientLimit,
    /// The tenant's requests come faster than its plan allows.
    RateLimited,
    /// More connections or failed logins come from one address than may.
    AddressLimited,
    /// The tenant's queue for server connections is full.
    QueueFull,
    /// No server connection became free in time.
    CheckoutTimeout,
    /// As many of the cluster's connections are kept by single clients as may be.
    LongHolds,
    /// The tenant's cluster cannot be reached, or refused us.
    ClusterUnavailable,
    /// The tenant's cluster is starting up or shutting down.
    ClusterStarting,
    /// The tenant's cluster has no connection left, or its database takes no more of them.
    ClusterFull,
    /// The server that answered is not the one in the catalog.
    ClusterMismatch,
    /// The server connection broke while it was in use.
    ServerLost,
    /// The client broke the protocol.
    ProtocolViolation,
    /// A message or request is larger than we take.
    TooLarge,
    /// The client asked for something that we know of and do not offer.
    Unsupported,
    /// The client accepts no form that the answer could have.
    NotAcceptable,
    /// The client took too long.
    ClientTimeout,
    /// The client did not log in in time.
    LoginTimeout,
    /// A request ran for longer than the gateway allows.
    QueryTimeout,
    /// A transaction lasted for longer than the gateway allows.
    TransactionTimeout,
    /// The client left its transaction open and did nothing.
    IdleInTransaction,
    /// The client did nothing.
    ClientIdle,
    /// The client did nothing and kept a server connection.
    PinnedIdle,
    /// The tenant's database has reached its storage quota, and the statement writes.
    StorageFull,
    /// Cancelled on the client's request.
    Cancelled,
    /// An operator has ended the connection.
    Terminated,
    /// This process is shutting down.
    Draining,
    /// A mistake of ours, nothing else.
    Internal,
}

impl ErrorKind {
    /// Every kind, so that tables and metrics can be checked for completeness.
    pub const ALL: [Self; 40] = [
        Self::TenantMissing,
        Self::TenantConflict,
        Self::TenantUnknown,
        Self::Unauthenticated,
        Self::TlsRequired,
        Self::Forbidden,
        Self::AddressNotAllowed,
        Self::FeatureOff,
        Self::TenantSuspended,
        Self::TenantUnavailable,
        Self::TenantPaused,
        Self::CatalogUnavailable,
        Self::IssuerUnavailable,
        Self::ClientLimit,
        Self::RateLimited,
        Self::AddressLimited,
        Self::QueueFull,
        Self::CheckoutTimeout,
        Self::LongHolds,
        Self::ClusterUnavailable,
        Self::ClusterStarting,
        Self::ClusterFull,
        Self::ClusterMismatch,
        Self::ServerLost,
        Self::ProtocolViolation,
        Self::TooLarge,
        Self::Unsupported,
        Self::NotAcceptable,
        Self::ClientTimeout,
        Self::LoginTimeout,
        Self::QueryTimeout,
        Self::TransactionTimeout,
        Self::IdleInTransaction,
        Self::ClientIdle,
        Self::PinnedIdle,
        Self::StorageFull,
        Self::Cancelled,
        Self::Terminated,
        Self::Draining,
        Self::Internal,
    ];

    /// The metric label and log field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantMissing => "tenant_missing",
            Self::TenantConflict => "tenant_conflict",
            Self::TenantUnknown => "tenant_unknown",
            Self::Unauthenticated => "unauthenticated",
            Self::TlsRequired => "tls_required",
            Self::Forbidden => "forbidden",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::FeatureOff => "feature_off",
            Self::TenantSuspended => "tenant_suspended",
            Self::TenantUnavailable => "tenant_unavailable",
            Self::TenantPaused => "tenant_paused",
            Self::CatalogUnavailable => "catalog_unavailable",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::ClientLimit => "client_limit",
            Self::RateLimited => "rate_limited",
            Self::AddressLimited => "address_limited",
            Self::QueueFull => "queue_full",
            Self::CheckoutTimeout => "checkout_timeout",
            Self::LongHolds => "long_holds",
            Self::ClusterUnavailable => "cluster_unavailable",
            Self::ClusterStarting => "cluster_starting",
            Self::ClusterFull => "cluster_full",
            Self::ClusterMismatch => "cluster_mismatch",
            Self::ServerLost => "server_lost",
            Self::ProtocolViolation => "protocol_violation",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::NotAcceptable => "not_acceptable",
            Self::ClientTimeout => "client_timeout",
            Self::LoginTimeout => "login_timeout",
            Self::QueryTimeout => "query_timeout",
            Self::TransactionTimeout => "transaction_timeout",
            Self::IdleInTransaction => "idle_in_transaction",
            Self::ClientIdle => "client_idle",
            Self::PinnedIdle => "pinned_idle",
            Self::StorageFull => "storage_full",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }

    /// May the same request succeed if it is sent again unchanged?
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::TenantUnavailable
            | Self::TenantPaused
            | Self::CatalogUnavailable
            | Self::IssuerUnavailable
            | Self::ClientLimit
            | Self::RateLimited
            | Self::AddressLimited
            | Self::QueueFull
            | Self::CheckoutTimeout
            | Self::LongHolds
            | Self::ClusterUnavailable
            | Self::ClusterStarting
            | Self::ClusterFull
            | Self::Terminated
            | Self::Draining => true,
            Self::TenantMissing
            | Self::TenantConflict
            | Self::TenantUnknown
            | Self::Unauthenticated
            | Self::TlsRequired
            | Self::Forbidden
            | Self::AddressNotAllowed
            | Self::FeatureOff
            | Self::TenantSuspended
            | Self::ClusterMismatch
            | Self::ServerLost
            | Self::ProtocolViolation
            | Self::TooLarge
            | Self::Unsupported
            | Self::NotAcceptable
            | Self::ClientTimeout
            | Self::LoginTimeout
            | Self::QueryTimeout
            | Self::TransactionTimeout
            | Self::IdleInTransaction
            | Self::ClientIdle
            | Self::PinnedIdle
            | Self::StorageFull
            | Self::Cancelled
            | Self::Internal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_label_of_its_own() {
        let labels: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(labels.len(), ErrorKind::ALL.len());
    }
}

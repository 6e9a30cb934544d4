//! What can go wrong with the catalog, sorted by what the caller can do about it.

mod classify;
mod constraint;

pub use constraint::Constraint;

use crate::key::SealError;
use tenancy::TenantState;

/// Why the catalog did not do as it was asked. Never holds a secret, nor a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The catalog cannot be reached, refused us, or the connection broke. A write may or may not
    /// have been made.
    #[error("the catalog is unavailable: {reason}")]
    Unavailable {
        /// What was tried and how it failed.
        reason: String,
    },
    /// The catalog did not answer in time. A write may or may not have been made.
    #[error("the catalog did not answer in time")]
    Timeout,
    /// Another transaction holds what this one needs. Nothing was changed; it may be tried again.
    #[error("the catalog is busy with another change of the same thing")]
    Busy,
    /// The catalog was migrated by a newer release than this one.
    #[error("the catalog's schema is version {found}, this release knows {known}")]
    NewerSchema {
        /// The version in the catalog.
        found: i32,
        /// The newest version that this release knows.
        known: i32,
    },
    /// The catalog is to be migrated before this release can use it.
    #[error("the catalog's schema is version {found}, this release needs {known}")]
    OlderSchema {
        /// The version in the catalog; 0 when it was never migrated.
        found: i32,
        /// The version that this release needs.
        known: i32,
    },
    /// There is already one like this.
    #[error("{constraint}")]
    Conflict {
        /// The rule that stood against it.
        constraint: Constraint,
    },
    /// The catalog's rules do not allow this.
    #[error("{constraint}")]
    Refused {
        /// The rule that stood against it.
        constraint: Constraint,
    },
    /// There is none.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, such as "tenant".
        what: &'static str,
    },
    /// Somebody else changed it since it was read.
    #[error("it was changed by somebody else and is now version {current}")]
    StaleVersion {
        /// The version that it has now.
        current: i64,
    },
    /// The tenant's state may not change in this way.
    #[error("a tenant that is {from} cannot become {to}")]
    IllegalTransition {
        /// The state it is in.
        from: TenantState,
        /// The state that was asked for.
        to: TenantState,
    },
    /// The claim on the operation was lost to another worker, or the operation is finished.
    #[error("the claim on the operation was lost")]
    Fenced,
    /// There are as many as there may be.
    #[error("there are already {max} {what}, which is the most there may be")]
    LimitReached {
        /// What there is too much of, such as "live credentials of this tenant".
        what: &'static str,
        /// How many there may be.
        max: u32,
    },
    /// A stored value cannot be read back: the catalog was changed by other hands, or by a release
    /// that knows more words.
    #[error("the catalog's {column} cannot be read: {reason}")]
    Corrupt {
        /// The column, or what it stands for.
        column: String,
        /// What is wrong with the value. Never the value of a secret.
        reason: String,
    },
    /// The audit chain does not hold.
    #[error("the audit chain is broken at row {seq}: {reason}")]
    AuditBroken {
        /// The first row that does not fit.
        seq: i64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The connection string is of no use. It is not shown: it may hold a password.
    #[error("the catalog's connection string cannot be used: {reason}")]
    BadDsn {
        /// Why. Nothing of it but what its words about TLS lead to.
        reason: String,
    },
    /// A migration failed and was rolled back.
    #[error("the catalog cannot be migrated: {reason}")]
    Migration {
        /// What failed.
        reason: String,
    },
    /// Anything else that the catalog's server answered: a mistake of ours.
    #[error("the catalog answered {code}: {message}")]
    Database {
        /// The SQLSTATE.
        code: String,
        /// The server's primary message, without its detail, which may quote values.
        message: String,
    },
}

impl CatalogError {
    /// Is the catalog down, as opposed to saying no? What is already known stays good then.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout => true,
            Self::Busy
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::StaleVersion { .. }
            | Self::IllegalTransition { .. }
            | Self::Fenced
            | Self::LimitReached { .. }
            | Self::Corrupt { .. }
            | Self::AuditBroken { .. }
            | Self::Seal(_)
            | Self::BadDsn { .. }
            | Self::Migration { .. }
            | Self::Database { .. } => false,
        }
    }

    /// May the same call succeed if it is made again unchanged?
    #[must_use]
    pub const fn retryable(&self) -> bool {
        self.is_unavailable() || matches!(self, Self::Busy)
    }

    pub(crate) fn corrupt(column: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { column: column.into(), reason: reason.to_string() }
    }

    pub(crate) fn bad_dsn(reason: impl Into<String>) -> Self {
        Self::BadDsn { reason: reason.into() }
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

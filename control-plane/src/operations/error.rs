//! Why a step did not work, sorted by what the engine does about it.

use crate::access_roles::NotReserved;
use crate::postgres::PostgresError;
use crate::schedule::placement::NoPlace;
use crate::secrets::SecretsError;
use catalog_schema::CatalogError;
use serde_json::{Value, json};

/// A step's failure. Its text is kept with the operation and shown, so no part of it is secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The tenant's cluster did not do it.
    #[error(transparent)]
    Cluster(#[from] PostgresError),
    /// The catalog did not do it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// No cluster can take the tenant.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// No secret could be made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// What an earlier step should have left is not there.
    #[error("{0} is missing, though an earlier step made it")]
    Missing(&'static str),
    /// It was begun again and again and neither succeeded nor failed.
    #[error("the step was begun {0} times and never came to an end")]
    NeverEnds(u32),
    /// A failpoint said so.
    #[error("failed on request of a failpoint")]
    Failpoint,
}

impl From<NotReserved> for StepError {
    fn from(error: NotReserved) -> Self {
        match error {
            NotReserved::Catalog(error) => Self::Catalog(error),
            NotReserved::Secrets(error) => Self::Secrets(error),
        }
    }
}

impl StepError {
    /// May the same step succeed later, with nobody changing anything?
    pub(crate) fn retryable(&self) -> bool {
        match self {
            Self::Cluster(error) => error.retryable(),
            Self::Catalog(error) => error.retryable(),
            Self::Secrets(_) => true,
            Self::NoPlace(_) | Self::Missing(_) | Self::NeverEnds(_) | Self::Failpoint => false,
        }
    }

    /// Is the operation somebody else's by now?
    pub(crate) const fn fenced(&self) -> bool {
        matches!(self, Self::Catalog(CatalogError::Fenced))
    }

    /// A word for programs.
    const fn code(&self) -> &'static str {
        match self {
            Self::Cluster(PostgresError::Foreign { .. } | PostgresError::OtherDatabase { .. }) => "not-ours",
            Self::Cluster(PostgresError::OtherServer { .. }) => "cluster-mismatch",
            Self::Cluster(_) => "cluster",
            Self::Catalog(_) => "catalog",
            Self::NoPlace(NoPlace::RegionNotAllowed { .. }) => "region-not-allowed",
            Self::NoPlace(_) => "no-capacity",
            Self::Secrets(_) | Self::Missing(_) | Self::NeverEnds(_) => "internal",
            Self::Failpoint => "failpoint",
        }
    }

    /// As the operation's record keeps it.
    pub(crate) fn record(&self, step: &str) -> Value {
        json!({
            "code": self.code(),
            "message": self.to_string(),
            "step": step,
            "retryable": self.retryable(),
        })
    }
}

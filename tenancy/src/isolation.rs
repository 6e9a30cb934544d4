//! How far apart a tenant is kept from the others.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The level at which a tenant's data is separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Rows in a shared database, kept apart by row-level security.
    Row,
    /// A schema and role of its own in a shared database.
    Schema,
    /// A database and role of its own in a shared cluster.
    #[default]
    Database,
    /// A PostgreSQL server of its own.
    Cluster,
}

impl Isolation {
    /// The word used by the API, the CLI and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no isolation level.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not an isolation level: use row, schema, database or cluster")]
pub struct UnknownIsolation(String);

impl FromStr for Isolation {
    type Err = UnknownIsolation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Row, Self::Schema, Self::Database, Self::Cluster]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| UnknownIsolation(text.to_owned()))
    }
}

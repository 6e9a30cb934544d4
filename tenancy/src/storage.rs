//! How a tenant stands with the storage that it bought.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What its database takes, beside what its plan allows. In this order: a later one allows less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageStanding {
    /// Less than the soft quota.
    #[default]
    Within,
    /// The soft quota or more: it is warned.
    Near,
    /// The hard quota or more: its transactions are read-only unless they say otherwise, which lets it delete.
    Full,
    /// So much more than the hard quota that it has done something else than delete: it may only read.
    Sealed,
    /// It has grown by as much again since it was sealed, by what its owner lends to those who only read: nobody is served.
    Closed,
}

impl StorageStanding {
    /// Every standing.
    pub const ALL: [Self; 5] = [Self::Within, Self::Near, Self::Full, Self::Sealed, Self::Closed];

    /// The word used by the API, the CLI, metrics and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Near => "near",
            Self::Full => "full",
            Self::Sealed => "sealed",
            Self::Closed => "closed",
        }
    }

    /// Is the hard quota reached?
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::Full | Self::Sealed | Self::Closed)
    }
}

impl fmt::Display for StorageStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no standing.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a storage standing: use within, near, full, sealed or closed")]
pub struct UnknownStorageStanding(String);

impl FromStr for StorageStanding {
    type Err = UnknownStorageStanding;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|standing| standing.as_str() == text)
            .ok_or_else(|| UnknownStorageStanding(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::StorageStanding;

    #[test]
    fn every_standing_reads_back_from_its_word() {
        for standing in StorageStanding::ALL {
            assert_eq!(standing.as_str().parse::<StorageStanding>().ok(), Some(standing));
        }
        assert!("empty".parse::<StorageStanding>().is_err());
        assert!(StorageStanding::ALL.is_sorted());
    }
}

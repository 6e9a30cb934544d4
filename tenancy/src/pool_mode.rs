//! How long a client keeps a server connection.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// When a client's server connection goes back to its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// At the end of each transaction.
    #[default]
    Transaction,
    /// When the client leaves.
    Session,
}

impl PoolMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Transaction, Self::Session];

    /// The word used by the API, the CLI, the startup option, metrics and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no mode.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a pool mode: use transaction or session")]
pub struct UnknownPoolMode(String);

impl FromStr for PoolMode {
    type Err = UnknownPoolMode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownPoolMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::PoolMode;

    #[test]
    fn every_mode_reads_back_from_its_word() {
        for mode in PoolMode::ALL {
            assert_eq!(mode.as_str().parse::<PoolMode>().ok(), Some(mode));
        }
        assert!("statement".parse::<PoolMode>().is_err());
    }
}

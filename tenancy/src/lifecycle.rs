//! The states of tenants and clusters, and which may follow which.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a tenant stands in its life.
///
/// ```text
/// provisioning ──► active ◄──► suspended
///      │             │             │
///      ▼             ▼             ▼
///   deleted  ◄──  purging  ◄───────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantState {
    /// Reserved in the catalog; its database is being made. Not served.
    Provisioning,
    /// Served.
    Active,
    /// Refused at the door, data kept.
    Suspended,
    /// Being deleted for good. Not served, and there is no way back.
    Purging,
    /// Gone. Only the tombstone is left.
    Deleted,
}

impl TenantState {
    /// Every state, in the order of a tenant's life.
    pub const ALL: [Self; 5] =
        [Self::Provisioning, Self::Active, Self::Suspended, Self::Purging, Self::Deleted];

    /// May a tenant in this state enter `next`?
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Provisioning, Self::Active | Self::Purging | Self::Deleted)
                | (Self::Active, Self::Suspended | Self::Purging)
                | (Self::Suspended, Self::Active | Self::Purging)
                | (Self::Purging, Self::Deleted)
        )
    }

    /// The word used by the API, the CLI, metrics and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Purging => "purging",
            Self::Deleted => "deleted",
        }
    }
}

/// Whether a cluster takes new tenants and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// Serves its tenants and takes new ones.
    Active,
    /// Serves its tenants and takes no new ones.
    Draining,
    /// Not served: its tenants are refused with a clear error.
    Offline,
}

impl ClusterState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Draining, Self::Offline];

    /// The word used by the API, the CLI, metrics and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Offline => "offline",
        }
    }
}

/// The text names no state.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a known state")]
pub struct UnknownState(String);

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownState;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .into_iter()
                    .find(|state| state.as_str() == text)
                    .ok_or_else(|| UnknownState(text.to_owned()))
            }
        }
    };
}
text_form!(TenantState);
text_form!(ClusterState);

#[cfg(test)]
mod tests {
    use super::TenantState::{self, Active, Deleted, Provisioning, Purging, Suspended};

    #[test]
    fn the_transition_table_is_exactly_this() {
        let legal = [
            (Provisioning, Active),
            (Provisioning, Purging),
            (Provisioning, Deleted),
            (Active, Suspended),
            (Active, Purging),
            (Suspended, Active),
            (Suspended, Purging),
            (Purging, Deleted),
        ];
        for from in TenantState::ALL {
            for to in TenantState::ALL {
                assert_eq!(from.may_become(to), legal.contains(&(from, to)), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn every_state_reads_back_from_its_word() {
        for state in TenantState::ALL {
            assert_eq!(state.as_str().parse::<TenantState>().ok(), Some(state));
        }
        assert!("Active".parse::<TenantState>().is_err());
    }
}

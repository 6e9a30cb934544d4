//! What a session may do inside the tenant's database.

use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What PostgreSQL lets a session do inside its tenant's database.
///
/// A tenant has one login role for each of these, and no login role is a member of another: what
/// a session may do is decided by the role its server connection was opened as, whatever SQL it
/// sends. [`Role`] is what a person or a program was given; [`Role::access`] says which login
/// role serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everything: the login role owns the database and what is in it.
    Owner,
    /// Rows of every table, and sequences; not the schema.
    Write,
    /// Reading every table and view.
    Read,
}

impl Access {
    /// Every access, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Write, Self::Read];

    /// The accesses whose login roles the owner's role grants to: all but the owner's.
    pub const GRANTED: [Self; 2] = [Self::Write, Self::Read];

    /// The word used by the API, the CLI, the metrics and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl Role {
    /// The access whose login role serves this role.
    #[must_use]
    pub const fn access(self) -> Access {
        match self {
            Self::Owner | Self::Admin => Access::Owner,
            Self::Member => Access::Write,
            Self::Viewer => Access::Read,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no access.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not an access: use owner, write or read")]
pub struct UnknownAccess(String);

impl FromStr for Access {
    type Err = UnknownAccess;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|access| access.as_str() == text)
            .ok_or_else(|| UnknownAccess(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for access in Access::ALL {
            assert_eq!(access.as_str().parse::<Access>().unwrap(), access);
        }
        assert!("admin".parse::<Access>().is_err());
    }

    #[test]
    fn a_lesser_role_never_has_more_access() {
        let in_order = Role::ALL.map(Role::access);
        assert!(in_order.is_sorted(), "{in_order:?}");
    }
}

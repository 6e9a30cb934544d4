//! What an API key is good for.

use crate::{Access, Permission, Permissions, Role};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an API key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyScope {
    /// The tenant's data, as the key's role may.
    #[default]
    Data,
    /// Reading the tenant's data, whatever the key's role.
    ReadOnly,
    /// The tenant's data, as the key's role may, and the tenant's own affairs at the control plane.
    Admin,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Data, Self::ReadOnly, Self::Admin];

    /// The word used by the API, the CLI and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::ReadOnly => "read-only",
            Self::Admin => "admin",
        }
    }

    /// What a key of this scope and role may do in the tenant's database.
    #[must_use]
    pub const fn access(self, role: Role) -> Access {
        match self {
            Self::ReadOnly => Access::Read,
            Self::Data | Self::Admin => role.access(),
        }
    }

    /// What a key of this scope and role may do to the tenant, its data included.
    #[must_use]
    pub const fn permissions(self, role: Role) -> Permissions {
        let of_role = role.permissions();
        match self {
            Self::Admin => of_role,
            Self::Data => of_role.and(Permissions::DATA),
            Self::ReadOnly => of_role.and(Permissions::of(&[Permission::DataRead])),
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no scope.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a scope: use data, read-only or admin")]
pub struct UnknownKeyScope(String);

impl FromStr for KeyScope {
    type Err = UnknownKeyScope;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownKeyScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_only_is_less_than_any_role_and_no_scope_is_more() {
        for role in Role::ALL {
            assert_eq!(KeyScope::ReadOnly.access(role), Access::Read);
            assert_eq!(KeyScope::Data.access(role), role.access());
            assert_eq!(KeyScope::Admin.access(role), role.access());
        }
        for scope in KeyScope::ALL {
            for role in Role::ALL {
                assert_eq!(scope.permissions(role).access(), Some(scope.access(role)), "{scope} {role}");
            }
            assert_eq!(scope.as_str().parse::<KeyScope>().unwrap(), scope);
        }
    }
}

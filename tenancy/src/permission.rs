//! What somebody may do to a tenant, in words that a role is a set of.
//!
//! A closed set: a word that this release does not know is refused where it enters, never ignored and never taken
//! for one that it resembles.

use crate::access::Access;
use crate::role::Role;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// One thing that somebody may do to a tenant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Permission { $($(#[$doc])* $name,)* }

        impl Permission {
            /// Every one, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word used by the API, the CLI and the catalog.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            const fn bit(self) -> u32 {
                1 << (self as u8)
            }
        }
    };
}

permissions! {
    /// See the tenant, its limits and its operations.
    TenantRead = "tenant.read",
    /// Change the tenant's names.
    TenantManage = "tenant.manage",
    /// Delete the tenant with all its data.
    TenantDelete = "tenant.delete",
    /// See, make and revoke what opens the tenant's database.
    CredentialsManage = "credentials.manage",
    /// See who belongs to the tenant, with which role, and who is invited.
    MembersRead = "members.read",
    /// Invite people, give them roles, send them away.
    MembersManage = "members.manage",
    /// Add, verify and remove the tenant's domains.
    DomainsManage = "domains.manage",
    /// Say whose tokens open the tenant.
    IssuersManage = "issuers.manage",
    /// Read the tenant's data.
    DataRead = "data.read",
    /// Change the tenant's data.
    DataWrite = "data.write",
    /// Change the form of the tenant's data.
    DataSchema = "data.schema",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no permission.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a permission")]
pub struct UnknownPermission(String);

impl FromStr for Permission {
    type Err = UnknownPermission;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|permission| permission.as_str() == text);
        found.copied().ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A set of permissions. As JSON it is the list of their words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self::of(Permission::ALL);

    /// Those about the tenant's data.
    pub const DATA: Self = Self::of(&[Permission::DataRead, Permission::DataWrite, Permission::DataSchema]);

    /// These.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < permissions.len() {
            bits |= permissions[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// These and `permission`.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// These but `permission`.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Self {
        Self(self.0 & !permission.bit())
    }

    /// Those that are among `others` too.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Is `permission` one of these?
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Is all of `others` among these? Nobody may give away what they do not hold themselves.
    #[must_use]
    pub const fn covers(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Each, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    /// The access that serves these; none where they open no data at all. Who may change the form of the data may
    /// change all of it, and who may change it may read it: PostgreSQL has no role for one without the other.
    #[must_use]
    pub const fn access(self) -> Option<Access> {
        if self.contains(Permission::DataSchema) {
            Some(Access::Owner)
        } else if self.contains(Permission::DataWrite) {
            Some(Access::Write)
        } else if self.contains(Permission::DataRead) {
            Some(Access::Read)
        } else {
            None
        }
    }

    /// None at all?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Permission>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl Role {
    /// What the role may do. A mightier role may do all that a lesser one may.
    #[must_use]
    pub const fn permissions(self) -> Permissions {
        use Permission::{DataRead, DataWrite, MembersRead, TenantDelete, TenantRead};
        match self {
            Self::Owner => Permissions::ALL,
            Self::Admin => Permissions::ALL.without(TenantDelete),
            Self::Member => Permissions::of(&[TenantRead, MembersRead, DataRead, DataWrite]),
            Self::Viewer => Permissions::of(&[TenantRead, MembersRead, DataRead]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_permission_has_a_word_and_a_place_of_its_own() {
        let words: HashSet<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
        assert_eq!(words.len(), Permission::ALL.len());
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse::<Permission>().unwrap(), *permission);
            assert_eq!(Permissions::of(&[*permission]).iter().collect::<Vec<_>>(), [*permission]);
            assert!(!Permissions::ALL.without(*permission).contains(*permission));
        }
        assert!("tenant.Read".parse::<Permission>().is_err() && "".parse::<Permission>().is_err());
    }

    #[test]
    fn a_mightier_role_may_do_all_that_a_lesser_one_may_and_more() {
        for pair in Role::ALL.windows(2) {
            let [mightier, lesser] = [pair[0].permissions(), pair[1].permissions()];
            assert!(mightier.covers(lesser) && !lesser.covers(mightier), "{pair:?}");
        }
    }

    #[test]
    fn a_role_is_served_by_the_access_that_its_permissions_ask_for() {
        for role in Role::ALL {
            assert_eq!(role.permissions().access(), Some(role.access()), "{role}");
        }
        assert_eq!(Permissions::of(&[Permission::TenantRead]).access(), None);
    }

    #[test]
    fn a_set_reads_as_the_list_of_its_words() {
        let viewer = Role::Viewer.permissions();
        let json = serde_json::to_string(&viewer).unwrap();
        assert_eq!(json, r#"["tenant.read","members.read","data.read"]"#);
        assert_eq!(serde_json::from_str::<Permissions>(&json).unwrap(), viewer);
        assert!(serde_json::from_str::<Permissions>(r#"["tenant.read","all"]"#).is_err());
    }
}

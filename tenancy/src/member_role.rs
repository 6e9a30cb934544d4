//! What a member of a tenant is there: one of the roles that every tenant has, or one of the tenant's own.

use crate::id::CustomRoleId;
use crate::name::CustomRoleName;
use crate::permission::{Permission, Permissions};
use crate::role::Role;

/// A member's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberRole {
    /// One that every tenant has.
    BuiltIn(Role),
    /// One of the tenant's own.
    Custom(CustomRole),
}

/// A role that a tenant has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    /// Which.
    pub id: CustomRoleId,
    /// What people call it.
    pub name: CustomRoleName,
    /// What its holders may do.
    pub permissions: Permissions,
}

impl MemberRole {
    /// The role's word or name. No role of a tenant's own has the word of one that every tenant has.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(role) => role.as_str(),
            Self::Custom(custom) => custom.name.as_str(),
        }
    }

    /// What it may do.
    #[must_use]
    pub const fn permissions(&self) -> Permissions {
        match self {
            Self::BuiltIn(role) => role.permissions(),
            Self::Custom(custom) => custom.permissions,
        }
    }
}

impl Permissions {
    /// The first permission that one of these is worth nothing without and that is not among them. Who may change
    /// data in PostgreSQL may read it, and a set that says otherwise would hide what it gives.
    #[must_use]
    pub fn lacking(self) -> Option<Permission> {
        use Permission::{DataRead, DataSchema, DataWrite, MembersManage, MembersRead};
        let needs = [(DataSchema, DataWrite), (DataWrite, DataRead), (MembersManage, MembersRead)];
        let lacks =
            |(holds, needs): &(Permission, Permission)| self.contains(*holds) && !self.contains(*needs);
        needs.into_iter().find(lacks).map(|(_, needs)| needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_role_has_one_access_however_it_is_looked_at() {
        for role in Role::ALL {
            assert_eq!(role.permissions().access(), Some(role.access()), "{role}");
            assert_eq!(role.permissions().lacking(), None, "{role}");
        }
        assert_eq!(Permissions::of(&[Permission::MembersRead]).access(), None);
    }

    #[test]
    fn writing_without_reading_is_lacking() {
        let write = Permissions::of(&[Permission::DataWrite]);
        assert_eq!(write.lacking(), Some(Permission::DataRead));
        assert_eq!(write.with(Permission::DataRead).lacking(), None);
        assert_eq!(Permissions::of(&[Permission::DataSchema]).lacking(), Some(Permission::DataWrite));
    }
}

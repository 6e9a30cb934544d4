//! Who asks.

use super::super::problem::{ApiResult, ProblemKind};
use catalog_schema::{Catalog, KeyHolder, SessionHolder};
use tenancy::{CredentialId, Permission, Permissions, SessionId, TenantId, UserId};

/// Whoever a request's token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Whoever holds the operator token: may do everything.
    Operator,
    /// A program that holds a tenant's API key.
    TenantKey(TenantKey),
    /// A person who has signed in.
    User(SignedIn),
}

/// A tenant's API key, as far as it opens the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TenantKey {
    /// The one tenant that it is for.
    pub(crate) tenant: TenantId,
    /// Which it is.
    pub(crate) credential: CredentialId,
    /// Its first characters, by which people tell keys apart.
    pub(crate) prefix: String,
    /// What it may do to its tenant.
    pub(crate) permissions: Permissions,
}

/// A person's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedIn {
    /// Who.
    pub(crate) user: UserId,
    /// Which time they signed in.
    pub(crate) session: SessionId,
    /// The tenants that they belong to, and what they may do to each.
    pub(crate) memberships: Vec<(TenantId, Permissions)>,
}

/// The tenants that a principal sees something of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every one.
    All,
    /// These and no other.
    Only(Vec<TenantId>),
}

impl Principal {
    /// How the audit record and operations name it. At most 200 bytes.
    pub(crate) fn actor(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::TenantKey(key) => format!("key:{}", key.prefix),
            Self::User(signed_in) => format!("user:{}", signed_in.user),
        }
    }

    /// Is it the operator?
    pub(crate) const fn is_operator(&self) -> bool {
        matches!(self, Self::Operator)
    }

    /// What no other principal has, for telling apart what two of them ask. A person's sessions are one.
    pub(crate) fn identity(&self) -> Vec<u8> {
        match self {
            Self::Operator => Vec::new(),
            Self::TenantKey(key) => key.credential.as_uuid().into_bytes().to_vec(),
            Self::User(signed_in) => signed_in.user.as_uuid().into_bytes().to_vec(),
        }
    }

    /// What it may do to a tenant; none if the tenant is not its own. Whoever gets none must not learn whether there
    /// is such a tenant.
    pub(crate) fn permissions_in(&self, tenant: TenantId) -> Option<Permissions> {
        match self {
            Self::Operator => Some(Permissions::ALL),
            Self::TenantKey(key) => (key.tenant == tenant).then_some(key.permissions),
            Self::User(signed_in) => {
                let mut memberships = signed_in.memberships.iter();
                memberships.find(|(of, _)| *of == tenant).map(|(_, permissions)| *permissions)
            }
        }
    }

    /// The tenants to which it may do this.
    pub(crate) fn reach(&self, permission: Permission) -> Reach {
        let own = match self {
            Self::Operator => return Reach::All,
            Self::TenantKey(key) => vec![(key.tenant, key.permissions)],
            Self::User(signed_in) => signed_in.memberships.clone(),
        };
        let may = own.into_iter().filter(|(_, permissions)| permissions.contains(permission));
        Reach::Only(may.map(|(tenant, _)| tenant).collect())
    }

    /// The tenant of its own that `text` names, by id or slug. Another's tenant and one that does not exist are one,
    /// and take the same look at the catalog.
    pub(super) async fn own_tenant(
        &self,
        catalog: &Catalog,
        text: &str,
    ) -> ApiResult<(TenantId, Permissions)> {
        let named = match (text.parse::<TenantId>(), text.parse()) {
            (Ok(id), _) => Some(id),
            (Err(_), Ok(slug)) => catalog.tenant_by_slug(&slug).await?.map(|tenant| tenant.id),
            (Err(_), Err(_)) => None,
        };
        let own = named.and_then(|tenant| Some((tenant, self.permissions_in(tenant)?)));
        own.ok_or_else(|| ProblemKind::TenantNotFound.into())
    }
}

impl From<KeyHolder> for Principal {
    fn from(holder: KeyHolder) -> Self {
        let KeyHolder { credential, tenant, prefix, role, scope, last_used_at: _ } = holder;
        Self::TenantKey(TenantKey { tenant, credential, prefix, permissions: scope.permissions(role) })
    }
}

impl From<SessionHolder> for Principal {
    fn from(SessionHolder { session, memberships }: SessionHolder) -> Self {
        Self::User(SignedIn { user: session.user, session: session.id, memberships })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenancy::{KeyScope, Role};

    fn user(memberships: &[(TenantId, Role)]) -> Principal {
        let memberships = memberships.iter().map(|(tenant, role)| (*tenant, role.permissions())).collect();
        Principal::User(SignedIn { user: UserId::generate(), session: SessionId::generate(), memberships })
    }

    #[test]
    fn a_person_reaches_what_they_belong_to_as_far_as_their_role_goes() {
        let [a, b, c] = [TenantId::generate(), TenantId::generate(), TenantId::generate()];
        let someone = user(&[(a, Role::Admin), (b, Role::Viewer)]);
        assert_eq!(someone.permissions_in(a), Some(Role::Admin.permissions()));
        assert_eq!(someone.permissions_in(c), None);
        assert_eq!(someone.reach(Permission::TenantRead), Reach::Only(vec![a, b]));
        assert_eq!(someone.reach(Permission::CredentialsManage), Reach::Only(vec![a]));
        assert_eq!(Principal::Operator.reach(Permission::CredentialsManage), Reach::All);
    }

    #[test]
    fn a_key_that_was_made_for_data_may_do_nothing_here() {
        for (scope, may) in [(KeyScope::Data, false), (KeyScope::ReadOnly, false), (KeyScope::Admin, true)] {
            let holder = KeyHolder {
                credential: CredentialId::generate(),
                tenant: TenantId::generate(),
                prefix: "tnt_abcdefgh".to_owned(),
                role: Role::Owner,
                scope,
                last_used_at: None,
            };
            let tenant = holder.tenant;
            let permissions = Principal::from(holder).permissions_in(tenant).unwrap();
            for permission in Permissions::ALL.iter().filter(|one| !Permissions::DATA.contains(*one)) {
                assert_eq!(permissions.contains(permission), may, "{scope} {permission}");
            }
        }
    }
}

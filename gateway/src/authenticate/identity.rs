//! Who a client has proved to be, and what that lets it do.

use super::{is_future, is_live};
use crate::resolve::installation::Known;
use catalog_schema::{CredentialKind, CredentialRecord, RouteRecord};
use jiff::Timestamp;
use pgwire::scram::Verifier;
use std::sync::Arc;
use tenancy::{Access, CredentialId, Issuer, IssuerId, ServiceId, SessionId, TenantId, UserId, UserName};

/// Who a client has proved to be. There is none without a proof: whoever holds one has been authenticated for
/// the tenant at hand.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What operators may call it: a user's name, an API key's first characters. Nothing secret.
    pub subject: Arc<str>,
    /// What it may do in the tenant's database: which of the tenant's login roles serves it.
    pub access: Access,
    /// What it came in by.
    pub credential: CredentialRef,
}

/// What a client came in by, to be held against the tenant's route again when that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialRef {
    /// A password or an API key of the tenant's.
    Own(CredentialId),
    /// A certificate in place of a user's passwords.
    Certificate {
        /// The user.
        user: UserName,
        /// What it let them do.
        access: Access,
    },
    /// A token of an identity provider's.
    Token {
        /// Whose.
        issuer: IssuerId,
        /// Of the issuer as it was then: what its tokens are worth may be another matter since.
        version: i64,
        /// The issuer is the tenant's own.
        is_tenants: bool,
        /// What the issuer called the tenant, if that is how it named it.
        external: Option<Box<str>>,
    },
    /// A token of the control plane's.
    GatewayToken {
        /// To whom it was given.
        user: UserId,
        /// In which session.
        session: SessionId,
        /// When.
        issued_at: Timestamp,
        /// When that session ends.
        session_ends: Timestamp,
        /// The key that signed it.
        key: Box<str>,
    },
    /// A service credential.
    Service(ServiceId),
}

impl CredentialRef {
    /// Does it still open the tenant, as far as that is for the tenant's route to say? Not if it was revoked or has
    /// expired.
    #[must_use]
    pub fn opens(&self, route: &RouteRecord) -> bool {
        match self {
            Self::Own(id) => live(route).any(|credential| credential.id == *id),
            Self::Certificate { user, access } => {
                Identity::by_certificate(route, user).is_some_and(|now| now.access == *access)
            }
            Self::Token { issuer, version, is_tenants, external } => {
                let is_it = |known: &Arc<Issuer>| known.id == *issuer && known.version == *version;
                let is_there = !is_tenants || route.issuers.iter().any(is_it);
                let is_called = |name: &str| {
                    route.external_ids.iter().any(|id| id.issuer == *issuer && id.external == name)
                };
                is_there && external.as_deref().is_none_or(is_called)
            }
            Self::GatewayToken { user, session, issued_at, session_ends, .. } => {
                is_future(*session_ends) && !route.refuses_token(*user, *session, *issued_at)
            }
            Self::Service(_) => true,
        }
    }

    /// Does the installation still know it as something that opens `tenant`, as far as that is not for the tenant's
    /// route to say?
    #[must_use]
    pub fn is_known_to(&self, installation: &Known, tenant: TenantId) -> bool {
        match self {
            Self::Token { issuer, version, is_tenants: false, .. } => {
                installation.has_issuer(*issuer, *version)
            }
            Self::GatewayToken { key, .. } => installation.has_own_key(key),
            Self::Service(id) => installation
                .service_of(*id)
                .is_some_and(|service| is_future(service.expires_at) && service.acts_for(tenant)),
            Self::Token { .. } | Self::Own(_) | Self::Certificate { .. } => true,
        }
    }

    /// From when on it opens nothing, whatever anybody says until then; `None` if that is for the tenant's route to
    /// say.
    #[must_use]
    pub const fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::GatewayToken { session_ends, .. } => Some(*session_ends),
            Self::Own(_) | Self::Certificate { .. } | Self::Token { .. } | Self::Service(_) => None,
        }
    }
}

impl Identity {
    /// The holder of a password of this user's: the one with this verifier. `None` when the route has none such.
    #[must_use]
    pub fn by_password(route: &RouteRecord, user: &UserName, verifier: &Verifier) -> Option<Self> {
        let text = verifier.to_string();
        let is_it = |kind: &CredentialKind| matches!(kind, CredentialKind::Password { verifier, .. } if *verifier == text);
        let credential = passwords_of(route, user).find(|credential| is_it(&credential.kind))?;
        Some(Self::of(credential, user.as_str()))
    }

    /// The holder of an API key with this hash. `None` when the route has no such key.
    #[must_use]
    pub fn by_key(route: &RouteRecord, hash: &[u8; 32]) -> Option<Self> {
        live(route).find_map(|credential| match &credential.kind {
            CredentialKind::ApiKey { prefix, hash: known, scope } if known == hash => {
                let access = scope.access(credential.role);
                Some(Self { access, ..Self::of(credential, prefix) })
            }
            CredentialKind::ApiKey { .. } | CredentialKind::Password { .. } => None,
        })
    }

    /// The holder of a certificate that stands for this user's passwords, with the role of the one that was made
    /// last. `None` when the user has none.
    #[must_use]
    pub fn by_certificate(route: &RouteRecord, user: &UserName) -> Option<Self> {
        let latest = passwords_of(route, user).max_by_key(|credential| credential.id)?;
        let known = Self::of(latest, user.as_str());
        let credential = CredentialRef::Certificate { user: user.clone(), access: known.access };
        Some(Self { credential, ..known })
    }

    fn of(credential: &CredentialRecord, subject: &str) -> Self {
        let (access, credential) = (credential.role.access(), CredentialRef::Own(credential.id));
        Self { subject: subject.into(), access, credential }
    }
}

/// The user's live passwords.
pub(super) fn passwords_of<'a>(
    route: &'a RouteRecord,
    user: &'a UserName,
) -> impl Iterator<Item = &'a CredentialRecord> {
    live(route).filter(move |credential| match &credential.kind {
        CredentialKind::Password { user: known, .. } => known == user,
        CredentialKind::ApiKey { .. } => false,
    })
}

fn live(route: &RouteRecord) -> impl Iterator<Item = &CredentialRecord> {
    route.credentials.iter().filter(|credential| is_live(credential))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use jiff::Timestamp;
    use tenancy::{Role, Secret};

    fn verifier(password: &str) -> Verifier {
        Verifier::derive(&Secret::from(password.to_owned()), b"some salt", 4096).expect("a good salt")
    }

    fn password(user: &str, role: Role, password: &str) -> CredentialRecord {
        let kind = CredentialKind::Password {
            user: user.parse().expect("a user"),
            verifier: verifier(password).to_string(),
        };
        CredentialRecord { id: CredentialId::generate(), role, expires_at: None, pool_mode: None, kind }
    }

    #[test]
    fn of_a_users_passwords_the_one_given_decides() {
        let mut route = route();
        route.credentials = vec![password("app", Role::Owner, "one"), password("app", Role::Viewer, "two")];
        let user: UserName = "app".parse().expect("a user");
        let access = |given| Identity::by_password(&route, &user, &verifier(given)).map(|known| known.access);
        assert_eq!(access("one"), Some(Access::Owner));
        assert_eq!(access("two"), Some(Access::Read));
        assert_eq!(access("three"), None);
        let other: UserName = "other".parse().expect("a user");
        assert!(Identity::by_password(&route, &other, &verifier("one")).is_none());
    }

    #[test]
    fn what_was_withdrawn_opens_nothing() {
        let mut route = route();
        route.credentials = vec![password("app", Role::Owner, "one"), password("app", Role::Owner, "two")];
        let user: UserName = "app".parse().expect("a user");
        let first = Identity::by_password(&route, &user, &verifier("one")).expect("it is there").credential;
        let certificate = Identity::by_certificate(&route, &user).expect("it is there").credential;
        assert!(first.opens(&route) && certificate.opens(&route));
        route.credentials[0].expires_at = Some(Timestamp::UNIX_EPOCH);
        assert!(!first.opens(&route) && certificate.opens(&route));
        route.credentials.pop();
        assert!(!certificate.opens(&route));
    }

    #[test]
    fn a_certificate_does_not_keep_the_access_of_a_password_that_is_gone() {
        let mut route = route();
        route.credentials = vec![password("app", Role::Viewer, "one"), password("app", Role::Owner, "two")];
        let user: UserName = "app".parse().expect("a user");
        let known = Identity::by_certificate(&route, &user).expect("it is there");
        assert!(known.access == Access::Owner && known.credential.opens(&route));
        route.credentials.pop();
        assert!(!known.credential.opens(&route), "a viewer's is left");
        assert!(Identity::by_certificate(&route, &user).is_some_and(|now| now.access == Access::Read));
    }
}

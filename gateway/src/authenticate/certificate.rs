//! A client's certificate in place of a password.
//!
//! Only where the settings say so (`tls.client_auth_is_login`), and only for a certificate that names user and tenant
//! both (`USER.TENANT`): one authority signs for all tenants, so a user's name alone would open every tenant that has
//! a user of that name. The user must have a credential that is live; when its last one is withdrawn, its
//! certificate opens nothing. One that does not fit is no error: the client is asked for its password as any other.

use super::{agreement, verifiers_of};
use crate::resolve::startup::Target;
use catalog_schema::RouteRecord;

/// Does the certificate with this common name, which TLS has found to be good, log the client in?
#[must_use]
pub fn opens(common_name: &str, route: &RouteRecord, target: &Target) -> bool {
    let (Some(user), (name, Some(tenant))) = (&target.user, agreement::split_user(common_name)) else {
        return false;
    };
    name == user.as_str() && tenant == route.slug.as_str() && verifiers_of(route, user).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use catalog_schema::{CredentialKind, CredentialRecord};
    use pgwire::scram::Verifier;
    use tenancy::{CredentialId, Role, Secret};

    fn target(user: &str) -> Target {
        Target {
            slug: Some("acme".parse().expect("a slug")),
            user: Some(user.parse().expect("a user")),
            user_as_given: user.to_owned(),
            settings: Vec::new(),
            pool_mode: None,
        }
    }

    fn password_of(user: &str) -> CredentialRecord {
        let verifier = Verifier::generate(&Secret::new("secret".to_owned())).expect("randomness");
        CredentialRecord {
            id: CredentialId::generate(),
            role: Role::Owner,
            expires_at: None,
            pool_mode: None,
            kind: CredentialKind::Password {
                user: user.parse().expect("a user"),
                verifier: verifier.to_string(),
            },
        }
    }

    #[test]
    fn a_certificate_has_to_name_user_and_tenant() {
        let mut route = route();
        route.credentials.push(password_of("app"));
        let name = format!("app.{}", route.slug.as_str());
        assert!(opens(&name, &route, &target("app")));
        assert!(!opens(&name, &route, &target("other")));
        for name in ["app", "app.", "app.other", "other.acme", ""] {
            assert!(!opens(name, &route, &target("app")), "{name}");
        }
    }

    #[test]
    fn a_user_without_a_live_credential_has_no_use_of_a_certificate() {
        let mut route = route();
        let name = format!("app.{}", route.slug.as_str());
        assert!(!opens(&name, &route, &target("app")));
        let mut expired = password_of("app");
        expired.expires_at = Some(jiff::Timestamp::UNIX_EPOCH);
        route.credentials.push(expired);
        assert!(!opens(&name, &route, &target("app")));
    }
}

//! A client's certificate in place of a password.
//!
//! Only where the settings say so (`tls.client_auth_is_login`), and only for a certificate that names user and tenant
//! both (`USER.TENANT`): one authority signs for all tenants, so a user's name alone would open every tenant that has
//! a user of that name. The user must have a credential that is live; when its last one is withdrawn, its
//! certificate opens nothing. One that does not fit is no error: the client is asked for its password as any other.

use super::{Identity, agreement};
use crate::resolve::startup::Target;
use catalog_schema::RouteRecord;

/// Who the certificate with this common name, which TLS has found to be good, logs in, if it does.
#[must_use]
pub fn identity(common_name: &str, route: &RouteRecord, target: &Target) -> Option<Identity> {
    let (user, (name, tenant)) = (target.user.as_ref()?, agreement::split_user(common_name));
    let fits = name == user.as_str() && tenant == Some(route.slug.as_str());
    fits.then(|| Identity::by_certificate(route, user)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use crate::resolve::Claims;
    use catalog_schema::{CredentialKind, CredentialRecord};
    use pgwire::scram::Verifier;
    use tenancy::{CredentialId, Role, Secret};

    fn target(user: &str) -> Target {
        Target {
            claims: Claims::default(),
            user: Some(user.parse().expect("a user")),
            user_as_given: user.to_owned(),
            settings: Vec::new(),
            pool_mode: None,
            shows_token: false,
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
        assert!(identity(&name, &route, &target("app")).is_some());
        assert!(identity(&name, &route, &target("other")).is_none());
        for name in ["app", "app.", "app.other", "other.acme", ""] {
            assert!(identity(name, &route, &target("app")).is_none(), "{name}");
        }
    }

    #[test]
    fn a_user_without_a_live_credential_has_no_use_of_a_certificate() {
        let mut route = route();
        let name = format!("app.{}", route.slug.as_str());
        assert!(identity(&name, &route, &target("app")).is_none());
        let mut expired = password_of("app");
        expired.expires_at = Some(jiff::Timestamp::UNIX_EPOCH);
        route.credentials.push(expired);
        assert!(identity(&name, &route, &target("app")).is_none());
    }
}

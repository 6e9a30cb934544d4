//! Who is asking?
//!
//! Passwords are checked against SCRAM verifiers, never against stored passwords. An unknown tenant, an
//! unknown user, an expired credential and a wrong password take the same steps and get the same
//! answer. What is checked belongs to the tenant that was resolved: a credential of another tenant is
//! simply not among the candidates.

pub mod api_key;
pub mod certificate;
pub mod cleartext;
pub mod identity;
pub mod password;
pub mod scram;
pub mod service;
pub mod token;
pub mod uses;

use crate::resolve::agreement;
use catalog_schema::{CredentialKind, CredentialRecord, RouteRecord};
pub use identity::{CredentialRef, Identity};
use pgwire::scram::{Candidates, Verifier};
use sha2::{Digest, Sha256};
use tenancy::UserName;

/// Makes the answers to unknown users look like those to known ones. Derived from the master key, so
/// that every gateway and every restart gives an unknown user the same salt.
#[derive(Clone)]
pub struct MockSeed([u8; 32]);

impl MockSeed {
    /// The installation's seed.
    #[must_use]
    pub fn new(key: &catalog_schema::MasterKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tenantry mock authentication");
        hash.update(key.to_base64().expose().as_bytes());
        Self(hash.finalize().into())
    }

    /// Stands in for a user that is not there, and says how the user is called. Two tenants' unknown users of
    /// one name have different salts, as known ones have; and as with a known one it does not matter which
    /// of its names the tenant goes by, or where in the connection it stands.
    #[must_use]
    pub fn stand_in<'a>(
        &self,
        route: Option<&RouteRecord>,
        tenant_as_given: &str,
        user_as_given: &'a str,
    ) -> ([u8; 32], &'a str) {
        let (user, _tenant) = agreement::split_user(user_as_given);
        let tenant = route.map_or_else(|| tenant_as_given.to_owned(), |route| route.tenant_id.to_string());
        let mut hash = Sha256::new();
        hash.update(self.0);
        for part in [tenant.as_str(), user] {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        (hash.finalize().into(), user)
    }
}

/// The verifiers of a user's live passwords in the route, if there are any.
#[must_use]
pub fn verifiers_of(route: &RouteRecord, user: &UserName) -> Option<Candidates> {
    Candidates::of(identity::passwords_of(route, user).filter_map(|credential| match &credential.kind {
        CredentialKind::Password { verifier, .. } => Verifier::parse(verifier).ok(),
        CredentialKind::ApiKey { .. } => None,
    }))
}

/// Not expired. Revoked ones are not in the route.
#[must_use]
pub fn is_live(credential: &CredentialRecord) -> bool {
    credential.expires_at.is_none_or(is_future)
}

fn is_future(moment: jiff::Timestamp) -> bool {
    moment > jiff::Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;

    #[test]
    fn an_unknown_user_is_the_same_however_it_and_its_tenant_are_written() {
        let (seed, route) = (MockSeed([7; 32]), route());
        let known = seed.stand_in(Some(&route), "acme", "nobody");
        assert_eq!(known, seed.stand_in(Some(&route), "alias", "nobody.alias"));
        assert_ne!(known, seed.stand_in(Some(&route), "acme", "somebody"));
        let unknown = seed.stand_in(None, "acme", "nobody");
        assert_eq!(unknown, seed.stand_in(None, "acme", "nobody.acme"));
        assert_ne!(unknown, seed.stand_in(None, "other", "nobody"));
    }
}

//! Who is asking?
//!
//! Passwords are checked against SCRAM verifiers, never against stored passwords. An unknown tenant, an
//! unknown user, an expired credential and a wrong password take the same steps and get the same
//! answer. What is checked belongs to the tenant that was resolved: a credential of another tenant is
//! simply not among the candidates.

pub mod api_key;
pub mod password;
pub mod scram;

use catalog_schema::{CredentialKind, CredentialRecord, RouteRecord};
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

    /// The seed for one tenant and user: two tenants' unknown users of one name have different salts, as
    /// known ones have.
    #[must_use]
    pub fn for_user(&self, tenant: &str, user: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update([0]);
        hash.update(tenant.as_bytes());
        hash.update([0]);
        hash.update(user.as_bytes());
        hash.finalize().into()
    }
}

/// The verifiers of a user's live passwords in the route, if there are any.
#[must_use]
pub fn verifiers_of(route: &RouteRecord, user: &UserName) -> Option<Candidates> {
    let live = route.credentials.iter().filter(|credential| is_live(credential));
    Candidates::of(live.filter_map(|credential| match &credential.kind {
        CredentialKind::Password { user: known, verifier } if known == user => Verifier::parse(verifier).ok(),
        CredentialKind::Password { .. } | CredentialKind::ApiKey { .. } => None,
    }))
}

/// Not expired. Revoked ones are not in the route.
#[must_use]
pub fn is_live(credential: &CredentialRecord) -> bool {
    credential.expires_at.is_none_or(|expiry| expiry > jiff::Timestamp::now())
}

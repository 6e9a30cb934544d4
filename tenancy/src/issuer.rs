//! Identity providers whose tokens open tenants: what is believed of a token, and what is not.
//!
//! An [`Issuer`] says everything that a token's verification rests on. Nothing of it ever comes from the token: its
//! header names a key by its id, and no more.

mod algorithm;
mod claim;

pub use algorithm::{SigningAlgorithm, UnknownAlgorithm};
pub use claim::{ClaimPath, ClaimPathError, ClaimShape, TenantForm, UnknownShape, UnknownTenantForm};

use crate::id::{IssuerId, TenantId};
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the control plane's own tokens name as their issuer: nobody else may be registered under it.
pub const OWN_ISSUER: &str = "tenantry";

/// The most that the clocks of an issuer and a gateway may be apart, in seconds. Five minutes, as Kerberos has it:
/// more would let expired tokens live on.
pub const LEEWAY_S_MAX: u32 = 300;

/// Characters in an issuer's name of itself, an audience or an address.
pub const ISSUER_TEXT_MAX: usize = 512;

/// Audiences that one issuer's tokens may be for.
pub const AUDIENCES_MAX: usize = 16;

/// Words of an issuer's that are mapped to roles.
pub const ROLE_WORDS_MAX: usize = 64;

/// An identity provider, and how its tokens are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Which.
    pub id: IssuerId,
    /// The one tenant that it may vouch for; none if it is the installation's and may vouch for any.
    pub tenant: Option<TenantId>,
    /// The tokens' `iss`, letter by letter.
    pub iss: String,
    /// A token's `aud` has to hold one of these.
    pub audiences: Vec<String>,
    /// What tokens may be signed with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Where its public keys are: https, or http on this machine.
    pub jwks_url: String,
    /// The certificates of the authorities that may have signed that server's, in PEM; none stands for those that the
    /// system trusts.
    pub jwks_ca: Option<String>,
    /// How far its clock may be from ours, in seconds.
    pub leeway_s: u32,
    /// Where in a token tenant and role stand.
    pub shape: ClaimShape,
    /// For [`ClaimShape::Custom`]: the tenant's claim.
    pub tenant_claim: Option<ClaimPath>,
    /// For [`ClaimShape::Custom`]: the role's claim, a word or a list of words.
    pub role_claim: Option<ClaimPath>,
    /// The user's claim; `sub` if it is none.
    pub user_claim: Option<ClaimPath>,
    /// What the tenant's claim holds.
    pub tenant_form: TenantForm,
    /// The issuer's words for roles. Empty: its words are ours.
    pub roles: BTreeMap<String, Role>,
    /// The role of who has none that is known; none refuses them.
    pub default_role: Option<Role>,
    /// Rises with every change.
    pub version: i64,
}

impl Issuer {
    /// The role that a word of the issuer's stands for.
    #[must_use]
    pub fn role_of(&self, word: &str) -> Option<Role> {
        if self.roles.is_empty() { word.parse().ok() } else { self.roles.get(word).copied() }
    }
}

//! The control plane's own tokens: short-lived, for one tenant, signed with keys whose public halves every gateway has.

use crate::error::TokenError;
use crate::keys::KeySet;
use crate::token::Token;
use crate::verify::{expected, seconds, signed_claims};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tenancy::issuer::OWN_ISSUER;
use tenancy::{Access, SessionId, SigningAlgorithm, TenantId, UserId};

/// Whom they are for.
pub const OWN_AUDIENCE: &str = "tenantry-gateway";

/// What their header says that they are, so that no other token of ours can be mistaken for one (RFC 8725 §3.11).
pub const OWN_TYPE: &str = "tenantry+jwt";

/// How far the clocks of control plane and gateways may be apart, in seconds.
const LEEWAY_S: u32 = 30;

/// The longest that one may live, in seconds: ten minutes, and the clocks' difference.
const LIFETIME_S_MAX: u64 = 600 + 30;

/// A public key of the control plane's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// What tokens call it.
    pub id: String,
    /// Ed25519, 32 bytes.
    pub public: [u8; 32],
    /// Until when what it signed is believed, in seconds since 1970.
    pub verifies_until: u64,
}

/// What a good one says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayToken {
    /// The user, as the control plane knows it.
    pub user: UserId,
    /// The tenant that it is for.
    pub tenant: TenantId,
    /// What its holder may do there.
    pub access: Access,
    /// The session that it was given to.
    pub session: SessionId,
    /// When that session ends, in seconds since 1970: nothing that the token opens lasts longer.
    pub session_ends: u64,
    /// What signed it.
    pub key: Box<str>,
    /// Its own id.
    pub id: Arc<str>,
    /// When it was made, in seconds since 1970: a revocation counts for what was made before it.
    pub issued_at: u64,
    /// From when on it is good for nothing, in seconds since 1970.
    pub expires_at: u64,
}

/// Does the token say that it is the control plane's?
#[must_use]
pub fn is_own(token: &Token<'_>) -> bool {
    token.issuer() == OWN_ISSUER
}

/// Checks a token of the control plane's. Whether it was revoked is not known here.
///
/// # Errors
/// See [`TokenError`].
pub fn verify(token: &Token<'_>, keys: &[OwnKey]) -> Result<GatewayToken, TokenError> {
    if token.algorithm() != SigningAlgorithm::EdDsa {
        return Err(TokenError::Algorithm);
    }
    if !token.is_of(OWN_TYPE) {
        return Err(TokenError::Malformed);
    }
    let known = |key: &&OwnKey| token.key_id() == Some(key.id.as_str()) && key.verifies_until > now();
    let key = keys.iter().find(known).ok_or(TokenError::UnknownKey)?;
    let signed_with = Box::from(key.id.as_str());
    let keys = KeySet::of_ed25519(&key.id, &key.public);
    let audiences = [OWN_AUDIENCE.to_owned()];
    let expected = expected(OWN_ISSUER, &audiences, LEEWAY_S, SigningAlgorithm::EdDsa);
    let claims = signed_claims(token, &keys, &expected)?;
    let text = |name: &str| claims.text(name).ok_or(TokenError::Claims);
    let time = |name: &str| seconds(&claims, name).ok_or(TokenError::Claims);
    let (issued_at, expires_at) = (time("iat")?, time("exp")?);
    if expires_at.saturating_sub(issued_at) > LIFETIME_S_MAX {
        return Err(TokenError::Claims);
    }
    Ok(GatewayToken {
        user: text("sub")?.parse().map_err(|_| TokenError::Claims)?,
        tenant: text("tenant_id")?.parse().map_err(|_| TokenError::Tenant)?,
        access: text("access")?.parse().map_err(|_| TokenError::Role)?,
        session: text("sid")?.parse().map_err(|_| TokenError::Claims)?,
        session_ends: time("session_exp")?,
        key: signed_with,
        id: text("jti")?.into(),
        issued_at,
        expires_at,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

#[cfg(test)]
mod tests;

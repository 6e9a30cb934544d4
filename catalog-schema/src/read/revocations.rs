//! Gateway tokens that are refused before their time, as part of a tenant's route.

use crate::error::CatalogError;
use crate::read::routes::RouteRecord;
use jiff::Timestamp;
use serde::Deserialize;
use tenancy::{SessionId, UserId};

/// Refuses gateway tokens of one tenant: those of a session, of a user, or, where neither is named, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RevokedTokens {
    /// Those of this user.
    #[serde(rename = "user_id")]
    pub user: Option<UserId>,
    /// Those of this session.
    #[serde(rename = "session_id")]
    pub session: Option<SessionId>,
    /// Those that were issued before this.
    pub before: Timestamp,
}

/// The column of a tenant `t` that [`revocations`] reads.
pub(crate) const REVOCATIONS: &str = "(select coalesce(jsonb_agg(jsonb_build_object('user_id', v.user_id,
      'session_id', v.session_id, 'before', v.before) order by v.id), '[]'::jsonb)
   from catalog.token_revocations v where v.tenant_id = t.id and v.expires_at > now()) as revoked";

pub(crate) fn revocations(column: serde_json::Value) -> Result<Vec<RevokedTokens>, CatalogError> {
    let mut revoked: Vec<RevokedTokens> =
        serde_json::from_value(column).map_err(|why| CatalogError::corrupt("revoked", why))?;
    // A route is kept for long.
    revoked.shrink_to_fit();
    Ok(revoked)
}

impl RouteRecord {
    /// Is a gateway token refused that was issued to this user in this session at `issued_at` (its `iat`)?
    #[must_use]
    pub fn refuses_token(&self, user: UserId, session: SessionId, issued_at: Timestamp) -> bool {
        let meant = |revoked: &RevokedTokens| {
            revoked.user.is_none_or(|of| of == user) && revoked.session.is_none_or(|of| of == session)
        };
        self.revoked.iter().any(|revoked| meant(revoked) && issued_at < revoked.before)
    }
}

//! Gateway tokens that are refused before their time.
//!
//! They are part of a tenant's route for as long as such a token could be shown, and no longer: a route is in every
//! gateway's memory. What such a token has opened lasts longer, but ends within a second, wherever the route is heard of. A
//! gateway that was cut off asks for each of its connections instead ([`Catalog::tokens_standing`]).

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::routes::RouteRecord;
use crate::row::Columns;
use crate::sql::{bigints, uuids};
use jiff::Timestamp;
use serde::Deserialize;
use tenancy::{SessionId, TenantId, UserId};

/// Tokens that may be asked for at once.
pub const TOKENS_ASKED_MAX: usize = 1_000;

/// A gateway token that somebody came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRef {
    /// For which tenant.
    pub tenant: TenantId,
    /// To whom it was given.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// When, in whole seconds (its `iat`).
    pub issued_at: Timestamp,
}

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
   from catalog.token_revocations v where v.tenant_id = t.id and v.told_until > now()) as revoked";

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

/// In the order in which they were asked for.
const STANDING: &str = "
select exists (select from catalog.sessions s join catalog.users u on u.id = s.user_id
               where s.id = c.session and s.user_id = c.holder and s.revoked_at is null and s.expires_at > now()
                 and u.disabled_at is null)
   and not exists (select from catalog.token_revocations r
                   where r.tenant_id = c.tenant and (r.user_id is null or r.user_id = c.holder)
                     and (r.session_id is null or r.session_id = c.session) and to_timestamp(c.issued) < r.before)
   as stands
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) with ordinality as c (tenant, holder, session, issued, nth)
order by c.nth";

impl Catalog {
    /// Does what these tokens have opened stay open? Not where the session has ended, or something refuses them. At most
    /// [`TOKENS_ASKED_MAX`]; the answers are in their order.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tokens_standing(&self, tokens: &[TokenRef]) -> Result<Vec<bool>, CatalogError> {
        let ids = |id: fn(&TokenRef) -> uuid::Uuid| uuids(Some(tokens.iter().map(id).collect()));
        let args = [
            ids(|token| token.tenant.as_uuid()),
            ids(|token| token.user.as_uuid()),
            ids(|token| token.session.as_uuid()),
            bigints(tokens.iter().map(|token| token.issued_at.as_second()).collect()),
        ];
        self.rows(STANDING, &args).await?.iter().map(|row| row.value("stands")).collect()
    }
}

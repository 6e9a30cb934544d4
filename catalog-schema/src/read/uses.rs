//! When keys were used last, as gateways tell it along with their heartbeat.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::sql::{bigints, uuids};
use jiff::Timestamp;
use uuid::Uuid;

/// Uses told at once. A gateway that has more of them tells the rest the next time.
pub const USES_MAX: usize = 1_000;

/// A use of an API key or a service credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// Which.
    pub key: Uuid,
    /// When.
    pub at: Timestamp,
}

impl Catalog {
    /// Notes when keys were used, where that is at least a minute after what is known. No route changes by it.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn note_uses(&self, uses: &[KeyUse]) -> Result<(), CatalogError> {
        if uses.is_empty() {
            return Ok(());
        }
        let sql = "with used as (
                     select u.id, to_timestamp(u.at) as at from unnest($1::uuid[], $2::bigint[]) as u (id, at)),
                   keys as (
                     update catalog.credentials c set last_used_at = used.at from used
                     where c.id = used.id and coalesce(c.last_used_at < used.at - interval '1 minute', true))
                   update catalog.service_credentials s set last_used_at = used.at from used
                   where s.id = used.id and coalesce(s.last_used_at < used.at - interval '1 minute', true)";
        let (keys, at) = uses.iter().map(|one| (one.key, one.at.as_second())).unzip();
        self.session().await?.execute(sql, &[uuids(Some(keys)), bigints(at)]).await.map(drop)
    }
}

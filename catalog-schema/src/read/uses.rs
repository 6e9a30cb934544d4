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
    /// Notes when keys were used, where that is at least a minute after what is known. No route changes by it. A key
    /// that somebody else has to do with at the moment is left out, so that nobody waits for anybody.
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
                     select c.id, used.at from catalog.credentials c join used on used.id = c.id
                     where coalesce(c.last_used_at < used.at - interval '1 minute', true)
                     order by c.id for no key update of c skip locked),
                   services as (
                     select s.id, used.at from catalog.service_credentials s join used on used.id = s.id
                     where coalesce(s.last_used_at < used.at - interval '1 minute', true)
                     order by s.id for no key update of s skip locked),
                   noted as (
                     update catalog.credentials c set last_used_at = keys.at from keys where c.id = keys.id)
                   update catalog.service_credentials s set last_used_at = services.at from services
                   where s.id = services.id";
        let (keys, at) = uses.iter().map(|one| (one.key, one.at.as_second())).unzip();
        self.session().await?.execute(sql, &[uuids(Some(keys)), bigints(at)]).await.map(drop)
    }
}

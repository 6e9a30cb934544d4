//! What time makes worthless is removed, a bounded piece at a time. A reconciler calls this again and again.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::session::Session;
use crate::sql::{bigint, millis};
use crate::write::gateways::prune_succeeded;
use std::time::Duration;

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Answers under idempotency keys.
    pub idempotency_keys: Duration,
    /// Gateways that gave no sign of life, and that no other has taken the place of.
    pub gateways: Duration,
    /// Sessions and invites that are over.
    pub ended: Duration,
    /// Revisions whose changes are known one by one; a gateway that is further behind takes every
    /// route for changed.
    pub route_revisions: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            idempotency_keys: Duration::from_secs(24 * 60 * 60),
            gateways: Duration::from_secs(60 * 60),
            ended: Duration::from_secs(30 * 24 * 60 * 60),
            route_revisions: 10_000,
        }
    }
}

/// How many rows were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Old names of renamed tenants. Their removal is a routing change.
    pub slug_aliases: u64,
    /// Answers under idempotency keys.
    pub idempotency_keys: u64,
    /// Dead gateways.
    pub gateways: u64,
    /// Routing changes.
    pub route_changes: u64,
    /// What is left of people's sessions and invites that are over, and of keys and tokens that nobody believes.
    pub people: u64,
}

/// Rows that one statement removes at most, so that it never holds locks for long.
const PRUNE_ROWS_MAX: i64 = 5_000;

impl Catalog {
    /// Removes what is older than `retention` allows, and aliases that have expired.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn prune(&self, retention: &Retention) -> Result<Pruned, CatalogError> {
        let session = self.session().await?;
        let limit = PRUNE_ROWS_MAX;
        let aliases = "delete from catalog.slug_aliases where slug in
                         (select slug from catalog.slug_aliases where expires_at <= now() limit $1)";
        let keys = "delete from catalog.idempotency_keys where (actor, key) in
                      (select actor, key from catalog.idempotency_keys
                       where created_at < now() - $2 * interval '1 millisecond' limit $1)";
        let gateways = "delete from catalog.gateways where id in
                          (select id from catalog.gateways
                           where heartbeat_at < now() - $2 * interval '1 millisecond' limit $1)";
        let slug_aliases = session.execute(aliases, &[bigint(limit)]).await?;
        let age = millis(retention.idempotency_keys);
        let idempotency_keys = session.execute(keys, &[bigint(limit), age]).await?;
        let age = millis(retention.gateways);
        let gateways = session.execute(gateways, &[bigint(limit), age]).await?
            + prune_succeeded(&session, limit).await?;
        // Marked first: between the two statements a reader may still find changes that it no longer
        // trusts, never the other way round.
        let mark = "update catalog.revision set pruned_through = greatest(pruned_through, value - $1)
                    returning pruned_through";
        let rows = session.query(mark, &[bigint(i64::from(retention.route_revisions))]).await?;
        let through: i64 = rows.first().map_or(Ok(0), |row| row.value("pruned_through"))?;
        let changes = "delete from catalog.route_changes where ctid = any (array(
                         select ctid from catalog.route_changes where revision <= $1 limit $2))";
        let route_changes = session.execute(changes, &[bigint(through), bigint(limit)]).await?;
        let people = prune_people(&session, retention).await?;
        Ok(Pruned { people, slug_aliases, idempotency_keys, gateways, route_changes })
    }
}

/// Each of these has no effect any more: nothing here changes what anybody may do.
async fn prune_people(session: &Session, retention: &Retention) -> Result<u64, CatalogError> {
    let ended = [
        "delete from catalog.sessions where ctid = any (array(
           select ctid from catalog.sessions
           where least(expires_at, revoked_at) < now() - $2 * interval '1 millisecond' limit $1))",
        "delete from catalog.invites where ctid = any (array(
           select ctid from catalog.invites
           where least(expires_at, accepted_at, revoked_at) < now() - $2 * interval '1 millisecond' limit $1))",
    ];
    let over = [
        "delete from catalog.token_revocations where ctid = any (array(
           select ctid from catalog.token_revocations where expires_at < now() limit $1))",
        "delete from catalog.session_tenants where ctid = any (array(
           select t.ctid from catalog.session_tenants t join catalog.sessions s on s.id = t.session_id
           where least(s.expires_at, s.revoked_at) < now() - interval '1 hour' limit $1))",
        // What a key opened lasts as long as a session, which is thirty days at most (`people.session_s`).
        "delete from catalog.signing_keys where id in
           (select id from catalog.signing_keys where verifies_until < now() - interval '31 days' limit $1)",
    ];
    let mut removed = 0;
    for sql in ended {
        removed += session.execute(sql, &[bigint(PRUNE_ROWS_MAX), millis(retention.ended)]).await?;
    }
    for sql in over {
        removed += session.execute(sql, &[bigint(PRUNE_ROWS_MAX)]).await?;
    }
    Ok(removed)
}

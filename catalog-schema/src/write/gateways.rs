//! Gateways that will not come back: forgotten by an operator, who knows more than their silence says, or because another
//! has taken their place.

use crate::error::CatalogError;
use crate::read::gateways::{GATEWAY_LIVE_WITHIN, GatewayRecord, gateway_of_row};
use crate::row::Columns;
use crate::session::Session;
use crate::sql::{bigint, millis, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use uuid::Uuid;

/// What became of the gateways that were to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Their numbers are free, and what was kept for them of budgets is others'.
    pub gone: Vec<GatewayRecord>,
    /// Still on record, because they gave a sign of life lately or may hold more than their floor.
    pub living: Vec<GatewayRecord>,
}

impl Tx {
    /// Removes the gateways that have this id, or all that have this name; of those that live, none unless `force`. One
    /// that lives all the same is on record again with its next heartbeat, as after a restore: nobody's share of what it
    /// uses grows until all that was told is over.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn gateways_forget(&mut self, which: &str, force: bool) -> Result<Forgotten, CatalogError> {
        // A lease lasts longer than the sign of life where heartbeats are far apart.
        let sql = "select g.*, heartbeat_at > clock_timestamp() - $3 * interval '1 millisecond'
                       or exists (select from catalog.budget_leases l
                                  where l.gateway_id = g.id and l.expires_at > clock_timestamp()) as is_living
                   from catalog.gateways g where g.id = $1 or g.name = $2 order by g.name, g.id for update";
        let id = which.parse::<Uuid>().ok();
        let rows = self.rows(sql, &[uuid(id), text(which), millis(GATEWAY_LIVE_WITHIN)]).await?;
        if rows.is_empty() {
            return Err(CatalogError::NotFound { what: "gateway" });
        }
        let mut forgotten = Forgotten { gone: Vec::new(), living: Vec::new() };
        for row in &rows {
            let (record, is_living) = (gateway_of_row(row)?, row.value::<bool>("is_living")?);
            if is_living && !force {
                forgotten.living.push(record);
            } else {
                self.gateway_remove(&record, is_living).await?;
                forgotten.gone.push(record);
            }
        }
        Ok(forgotten)
    }

    async fn gateway_remove(&mut self, record: &GatewayRecord, was_living: bool) -> Result<(), CatalogError> {
        let sql = "delete from catalog.gateways where id = $1";
        self.execute(sql, &[uuid(record.gateway.id.as_uuid())]).await?;
        let detail = json!({
            "id": record.gateway.id.as_uuid(),
            "number": record.number,
            "address": record.gateway.address,
            "heartbeat_at": record.heartbeat_at,
            "was_living": was_living,
        });
        self.audit("gateway.forget", None, &record.gateway.name, detail);
        Ok(())
    }
}

/// Removes `limit` gateways at most that are silent, and whose name and address another has that has started since: it
/// could not listen there while they lived. Not where an address means another machine to everybody.
pub(crate) async fn prune_succeeded(session: &Session, limit: i64) -> Result<u64, CatalogError> {
    let sql = "delete from catalog.gateways where id in
                 (select g.id from catalog.gateways g
                  where g.heartbeat_at <= clock_timestamp() - $2 * interval '1 millisecond'
                    and g.address !~ '^(127[.]|0[.]0[.]0[.]0:|localhost:|[[]::1?[]]:)'
                    and not exists (select from catalog.budget_leases l
                                    where l.gateway_id = g.id and l.expires_at > clock_timestamp())
                    and exists (select from catalog.gateways s
                                where s.name = g.name and s.address = g.address and s.started_at > g.heartbeat_at)
                  limit $1)";
    session.execute(sql, &[bigint(limit), millis(GATEWAY_LIVE_WITHIN)]).await
}

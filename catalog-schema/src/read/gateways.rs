//! Gateways: who serves, and how far each has followed the catalog.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, millis, text, uuid};
use jiff::Timestamp;
use std::time::Duration;
use tenancy::{GatewayId, RegionName, Revision};
use tokio_postgres::Row;

/// What a running gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayHeartbeat {
    /// This run of it.
    pub id: GatewayId,
    /// What its operator calls it.
    pub name: String,
    /// Where it stands.
    pub region: RegionName,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// It serves nobody by a route older than this revision.
    pub applied_revision: Revision,
}

/// A gateway as its last heartbeat showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRecord {
    /// What it said of itself.
    pub gateway: GatewayHeartbeat,
    /// When its first heartbeat came.
    pub started_at: Timestamp,
    /// When its last heartbeat came.
    pub heartbeat_at: Timestamp,
}

impl Catalog {
    /// Records that a gateway lives and what it has applied. The revision never goes back.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn gateway_heartbeat(&self, beat: &GatewayHeartbeat) -> Result<(), CatalogError> {
        let sql = "insert into catalog.gateways (id, name, region, address, applied_revision)
                   values ($1, $2, $3, $4, $5)
                   on conflict (id) do update set name = excluded.name, region = excluded.region,
                     address = excluded.address, heartbeat_at = clock_timestamp(),
                     applied_revision = greatest(gateways.applied_revision, excluded.applied_revision)";
        let args = [
            uuid(beat.id.as_uuid()),
            text(beat.name.as_str()),
            text(beat.region.as_str()),
            text(beat.address.as_str()),
            bigint(beat.applied_revision.get()),
        ];
        self.session().await?.execute(sql, &args).await.map(drop)
    }

    /// Records that a gateway has stopped, so that nobody waits for it.
    ///
    /// # Errors
    /// When the catalog is unavailable; the gateway is taken for dead after a while then.
    pub async fn gateway_forget(&self, id: GatewayId) -> Result<(), CatalogError> {
        let sql = "delete from catalog.gateways where id = $1";
        self.session().await?.execute(sql, &[uuid(id.as_uuid())]).await.map(drop)
    }

    /// All gateways that are on record, the dead too until they are pruned.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn gateways(&self) -> Result<Vec<GatewayRecord>, CatalogError> {
        let rows = self.rows("select * from catalog.gateways order by name, id", &[]).await?;
        rows.iter().map(gateway_of_row).collect()
    }

    /// The gateways that gave a sign of life within `live_within` and have not applied `revision`
    /// yet. Empty means that no living gateway serves by anything older.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn gateways_behind(
        &self,
        revision: Revision,
        live_within: Duration,
    ) -> Result<Vec<GatewayRecord>, CatalogError> {
        let sql = "select * from catalog.gateways where applied_revision < $1
                   and heartbeat_at > clock_timestamp() - $2 * interval '1 millisecond' order by name, id";
        let rows = self.rows(sql, &[bigint(revision.get()), millis(live_within)]).await?;
        rows.iter().map(gateway_of_row).collect()
    }

    /// The gateways that have not applied `revision`, gave no sign of life within `live_within` and did not say
    /// that they stopped: dead most likely, or cut off from the catalog and still serving by what they know.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn gateways_unheard(
        &self,
        revision: Revision,
        live_within: Duration,
    ) -> Result<Vec<GatewayRecord>, CatalogError> {
        let sql = "select * from catalog.gateways where applied_revision < $1
                   and heartbeat_at <= clock_timestamp() - $2 * interval '1 millisecond' order by name, id";
        let rows = self.rows(sql, &[bigint(revision.get()), millis(live_within)]).await?;
        rows.iter().map(gateway_of_row).collect()
    }
}

fn gateway_of_row(row: &Row) -> Result<GatewayRecord, CatalogError> {
    let gateway = GatewayHeartbeat {
        id: row.id("id")?,
        name: row.value("name")?,
        region: row.word("region")?,
        address: row.value("address")?,
        applied_revision: Revision::new(row.value("applied_revision")?),
    };
    Ok(GatewayRecord {
        gateway,
        started_at: row.value("started_at")?,
        heartbeat_at: row.value("heartbeat_at")?,
    })
}

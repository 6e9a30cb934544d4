//! Gateways: who serves, by which number, and how far each has followed the catalog.

use crate::catalog::Catalog;
use crate::error::{CatalogError, Constraint};
use crate::row::Columns;
use crate::sql::{bigint, millis, text, uuid};
use jiff::Timestamp;
use std::time::Duration;
use tenancy::{GatewayId, RegionName, Revision};
use tokio_postgres::Row;

/// A gateway that has given no sign of life for this long is taken for dead: nobody waits for it, and nothing is
/// passed on to it.
pub const GATEWAY_LIVE_WITHIN: Duration = Duration::from_secs(15);

/// Numbers are from 1 to this: a cancel key has ten bits for them, and no gateway is number 0.
pub const GATEWAY_NUMBER_MAX: u16 = 1023;

/// Gateways that start at the same moment all try the same number; one of them gets it, the others the next.
const NUMBER_ATTEMPTS_MAX: u32 = 64;

/// What a running gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayHeartbeat {
    /// This run of it.
    pub id: GatewayId,
    /// What its operator calls it.
    pub name: String,
    /// Where it stands.
    pub region: RegionName,
    /// Where other gateways reach it with the PostgreSQL protocol, `host:port`.
    pub address: String,
    /// It serves nobody by a route older than this revision.
    pub applied_revision: Revision,
}

/// A gateway as its last heartbeat showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRecord {
    /// What it said of itself.
    pub gateway: GatewayHeartbeat,
    /// The number that cancel keys name it by.
    pub number: u16,
    /// When its first heartbeat came.
    pub started_at: Timestamp,
    /// When its last heartbeat came.
    pub heartbeat_at: Timestamp,
}

impl Catalog {
    /// Records that a gateway lives and what it has applied, and returns its number: the smallest that is
    /// free at its first heartbeat, the same from then on. The revision never goes back.
    ///
    /// # Errors
    /// [`CatalogError::LimitReached`] when every number is taken, or when the catalog is unavailable.
    pub async fn gateway_heartbeat(&self, beat: &GatewayHeartbeat) -> Result<u16, CatalogError> {
        let again = "update catalog.gateways set name = $2, region = $3, address = $4,
                       heartbeat_at = clock_timestamp(), applied_revision = greatest(applied_revision, $5)
                     where id = $1 returning number";
        let first = "insert into catalog.gateways (id, name, region, address, applied_revision, number)
                     select $1, $2, $3, $4, $5, min(n) from generate_series(1, $6) as n
                     where n not in (select number from catalog.gateways) having min(n) is not null
                     returning number";
        let known = [
            uuid(beat.id.as_uuid()),
            text(beat.name.as_str()),
            text(beat.region.as_str()),
            text(beat.address.as_str()),
            bigint(beat.applied_revision.get()),
        ];
        let session = self.session().await?;
        if let Some(row) = session.query(again, &known).await?.first() {
            return row.number("number");
        }
        let numbered: Vec<_> = known.into_iter().chain([bigint(i64::from(GATEWAY_NUMBER_MAX))]).collect();
        for _ in 0..NUMBER_ATTEMPTS_MAX {
            match session.query(first, &numbered).await {
                Ok(rows) => {
                    let what = "gateways on record";
                    let full = CatalogError::LimitReached { what, max: u32::from(GATEWAY_NUMBER_MAX) };
                    return rows.first().ok_or(full)?.number("number");
                }
                Err(CatalogError::Conflict { constraint: Constraint::GatewayNumberTaken }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CatalogError::Busy)
    }

    /// The numbers and addresses of the gateways that gave a sign of life within [`GATEWAY_LIVE_WITHIN`].
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn gateway_addresses(&self) -> Result<Vec<(u16, String)>, CatalogError> {
        let sql = "select number, address from catalog.gateways
                   where heartbeat_at > clock_timestamp() - $1 * interval '1 millisecond' order by number";
        let rows = self.rows(sql, &[millis(GATEWAY_LIVE_WITHIN)]).await?;
        rows.iter().map(|row| Ok((row.number("number")?, row.value("address")?))).collect()
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

pub(crate) fn gateway_of_row(row: &Row) -> Result<GatewayRecord, CatalogError> {
    let gateway = GatewayHeartbeat {
        id: row.id("id")?,
        name: row.value("name")?,
        region: row.word("region")?,
        address: row.value("address")?,
        applied_revision: Revision::new(row.value("applied_revision")?),
    };
    Ok(GatewayRecord {
        gateway,
        number: row.number("number")?,
        started_at: row.value("started_at")?,
        heartbeat_at: row.value("heartbeat_at")?,
    })
}

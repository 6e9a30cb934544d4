//! Leases on a cluster's connection budget: what a gateway may hold of it, and until when.
//!
//! Renewed with the heartbeat, which is the one thing that a gateway writes. The decision is taken in the
//! catalog (`catalog.renew_leases`), where one gateway at a time is served for each cluster.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, json, millis, uuid};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use tenancy::{ClusterId, ClusterName, GatewayId};
use tokio_postgres::Row;

/// The most that a claim can say, so that the catalog can add claims up. Far above any budget.
pub const CLAIM_MAX: u32 = 10_000_000;

/// A renewal of all leases of one gateway.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRenewal {
    /// Which gateway; its heartbeat was recorded before.
    pub gateway: GatewayId,
    /// Rises with every renewal that the gateway sends, from 1.
    pub number: i64,
    /// The last renewal whose answer the gateway has had; 0 for none.
    pub answered: i64,
    /// How long the catalog counts on what the gateway was told. The gateway gives it up sooner.
    pub lasts: Duration,
}

/// What a gateway says of its connections to one cluster. Numbers above [`CLAIM_MAX`] are too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeaseClaim {
    /// The cluster.
    pub cluster: ClusterId,
    /// The share that is in force at the gateway.
    pub share: u32,
    /// The floor that is in force at the gateway.
    pub floor: u32,
    /// Connections open, being opened or being closed.
    pub held: u32,
    /// Of these, held for longer than a transaction: they cannot be given up.
    pub long: u32,
    /// Connections that it could use now: those that are leased, and one for each check-out that waits.
    pub wanted: u32,
}

/// What a gateway may hold of one cluster's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetShare {
    /// The cluster.
    pub cluster: ClusterId,
    /// Connections, while the lease lasts.
    pub share: u32,
    /// Connections, once it has expired and until the gateway is removed from the catalog.
    pub floor: u32,
    /// The whole budget.
    pub budget: u32,
    /// Another gateway waits for what this one is to give back.
    pub others_lack: bool,
}

/// A lease as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Whose it is.
    pub gateway: GatewayId,
    /// What the gateway's operator calls it.
    pub gateway_name: String,
    /// The gateway's number.
    pub gateway_number: u16,
    /// Of which cluster's budget.
    pub cluster: ClusterId,
    /// What people call the cluster.
    pub cluster_name: ClusterName,
    /// What the gateway was told last that it may hold.
    pub share: u32,
    /// What it may fall back to.
    pub floor: u32,
    /// What it said that it holds.
    pub held: u32,
    /// What it said that it could use.
    pub wanted: u32,
    /// When what is not its floor goes back to the others, unless it is renewed.
    pub expires_at: Timestamp,
}

impl Catalog {
    /// Renews a gateway's leases and gives back those that it claims nothing of. A cluster that the answer leaves out
    /// is not in the catalog. Everything is left out when the gateway is not on record, or has renewed since.
    ///
    /// # Errors
    /// When the catalog is unavailable. What it decided then is not known: only an answer changes what is in force.
    pub async fn renew_leases(
        &self,
        renewal: &LeaseRenewal,
        claims: &[LeaseClaim],
    ) -> Result<Vec<BudgetShare>, CatalogError> {
        let sql = "select * from catalog.renew_leases($1, $2, $3, $4, $5)";
        let claims = serde_json::to_value(claims).map_err(|why| CatalogError::corrupt("claims", why))?;
        let args = [
            uuid(renewal.gateway.as_uuid()),
            bigint(renewal.number),
            bigint(renewal.answered),
            millis(renewal.lasts),
            json(&claims),
        ];
        self.session().await?.query(sql, &args).await?.iter().map(share_of_row).collect()
    }

    /// The leases on one cluster's budget, or on all, by cluster and gateway. Expired ones too, until their gateway is
    /// removed.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn budget_leases(&self, cluster: Option<ClusterId>) -> Result<Vec<LeaseRecord>, CatalogError> {
        let sql = "select l.*, g.name as gateway_name, g.number as gateway_number, c.name as cluster_name
                   from catalog.budget_leases l
                   join catalog.gateways g on g.id = l.gateway_id join catalog.clusters c on c.id = l.cluster_id
                   where $1::uuid is null or l.cluster_id = $1
                   order by c.name, g.name, g.id";
        let rows = self.rows(sql, &[uuid(cluster.map(ClusterId::as_uuid))]).await?;
        rows.iter().map(lease_of_row).collect()
    }
}

fn share_of_row(row: &Row) -> Result<BudgetShare, CatalogError> {
    Ok(BudgetShare {
        cluster: row.id("cluster_id")?,
        share: row.number("share")?,
        floor: row.number("floor")?,
        budget: row.number("budget")?,
        others_lack: row.value("others_lack")?,
    })
}

fn lease_of_row(row: &Row) -> Result<LeaseRecord, CatalogError> {
    Ok(LeaseRecord {
        gateway: row.id("gateway_id")?,
        gateway_name: row.value("gateway_name")?,
        gateway_number: row.number("gateway_number")?,
        cluster: row.id("cluster_id")?,
        cluster_name: row.word("cluster_name")?,
        share: row.number("share")?,
        floor: row.number("floor")?,
        held: row.number("held")?,
        wanted: row.number("wanted")?,
        expires_at: row.value("expires_at")?,
    })
}

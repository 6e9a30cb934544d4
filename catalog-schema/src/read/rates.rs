//! Leases on tenants' rates of requests: which part of a rate a gateway may let through, and until when.
//!
//! Renewed with the heartbeat, which is the one thing that a gateway writes. The decision is taken in the catalog
//! (`catalog.renew_rates`), one gateway at a time.

use super::gateways::GATEWAY_LIVE_WITHIN;
use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, json, millis, uuid};
use serde::Serialize;
use std::time::Duration;
use tenancy::{GatewayId, TenantId};
use tokio_postgres::Row;

/// A tenant's whole rate, in the parts that shares are counted in.
pub const RATE_WHOLE: u32 = 1_000_000;

/// Claims that one renewal makes at most: what it costs the catalog is bounded.
pub const RATE_CLAIMS_MAX: usize = 256;

/// A renewal of all of one gateway's leases on rates.
#[derive(Debug, Clone, Copy)]
pub struct RateRenewal {
    /// Which gateway; its heartbeat was recorded before.
    pub gateway: GatewayId,
    /// Rises with every renewal that the gateway sends, from 1.
    pub number: i64,
    /// How long the catalog counts on what the gateway was told. The gateway gives it up sooner.
    pub lasts: Duration,
}

/// What a gateway says of one tenant's rate, in parts of [`RATE_WHOLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateClaim {
    /// The tenant.
    pub tenant: TenantId,
    /// What is in force at the gateway.
    pub in_force: u32,
    /// What it could use.
    pub wanted: u32,
}

/// What a gateway may let through of one tenant's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateShare {
    /// The tenant.
    pub tenant: TenantId,
    /// Parts of [`RATE_WHOLE`], while the lease lasts.
    pub share: u32,
    /// What else is due to it and still with others.
    pub lacking: u32,
    /// Gateways that live.
    pub gateways: u32,
}

impl Catalog {
    /// Renews a gateway's leases on rates, and gives back those that it claims nothing of. A tenant that the answer
    /// leaves out is not in the catalog. Everything is left out when the gateway is not on record, or has renewed
    /// since.
    ///
    /// # Errors
    /// When the catalog is unavailable. What it decided then is not known: only an answer changes what is in force.
    pub async fn renew_rates(
        &self,
        renewal: &RateRenewal,
        claims: &[RateClaim],
    ) -> Result<Vec<RateShare>, CatalogError> {
        let sql = "select * from catalog.renew_rates($1, $2, $3, $4, $5)";
        let claims = serde_json::to_value(claims).map_err(|why| CatalogError::corrupt("claims", why))?;
        let args = [
            uuid(renewal.gateway.as_uuid()),
            bigint(renewal.number),
            millis(renewal.lasts),
            millis(GATEWAY_LIVE_WITHIN),
            json(&claims),
        ];
        self.session().await?.query(sql, &args).await?.iter().map(share_of_row).collect()
    }
}

fn share_of_row(row: &Row) -> Result<RateShare, CatalogError> {
    Ok(RateShare {
        tenant: row.id("tenant_id")?,
        share: row.number("share")?,
        lacking: row.number("lacking")?,
        gateways: row.number("gateways")?,
    })
}

//! How the gateways share a cluster's connection budget, as their last heartbeats left it.

use catalog_schema::LeaseRecord;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What one gateway may hold of one cluster's connection budget.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Share {
    /// The cluster's name.
    #[schema(example = "eu-1")]
    cluster: String,
    /// The gateway's id.
    gateway_id: Uuid,
    /// What its operator calls it.
    gateway: String,
    /// The gateway's number.
    gateway_number: u16,
    /// Server connections that it may hold, while its lease lasts.
    share: u32,
    /// Server connections that it falls back to; they stay its own until it is removed from the catalog.
    floor: u32,
    /// Server connections that it said it holds.
    held: u32,
    /// Server connections that it said it could use.
    wanted: u32,
    /// When its share but for the floor goes back to the others, unless it is heard from again.
    expires_at: Timestamp,
}

impl From<LeaseRecord> for Share {
    fn from(lease: LeaseRecord) -> Self {
        Self {
            cluster: lease.cluster_name.into(),
            gateway_id: lease.gateway.as_uuid(),
            gateway: lease.gateway_name,
            gateway_number: lease.gateway_number,
            share: lease.share,
            floor: lease.floor,
            held: lease.held,
            wanted: lease.wanted,
            expires_at: lease.expires_at,
        }
    }
}

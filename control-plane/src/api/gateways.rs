//! Gateways: who serves, and how far each has followed the catalog.

use super::document::Problems;
use super::mutation::shown;
use super::pagination::Page;
use super::problem::ApiResult;
use crate::context::ApiState;
use axum::extract::State;
use axum::response::Response;
use catalog_schema::{GATEWAY_LIVE_WITHIN, GatewayRecord};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One run of a gateway, as its last heartbeat showed it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gateway {
    /// Its id; a restart has another.
    id: Uuid,
    /// What its operator calls it.
    name: String,
    /// The number that cancel keys name it by.
    number: u16,
    /// Where it stands.
    region: String,
    /// Where other gateways reach it with the PostgreSQL protocol.
    #[schema(example = "10.0.0.7:6432")]
    address: String,
    /// Whether it gave a sign of life lately. One that did not is dead, or cut off from the catalog and serving by
    /// what it knows.
    live: bool,
    /// It serves nobody by a route older than this revision of the catalog.
    applied_revision: i64,
    /// When it started.
    started_at: Timestamp,
    /// When its last sign of life came.
    heartbeat_at: Timestamp,
}

impl From<GatewayRecord> for Gateway {
    fn from(record: GatewayRecord) -> Self {
        let GatewayRecord { gateway, number, started_at, heartbeat_at } = record;
        let age = Timestamp::now().duration_since(heartbeat_at);
        Self {
            id: gateway.id.as_uuid(),
            name: gateway.name,
            number,
            region: gateway.region.into(),
            address: gateway.address,
            live: age.is_negative() || age.unsigned_abs() < GATEWAY_LIVE_WITHIN,
            applied_revision: gateway.applied_revision.get(),
            started_at,
            heartbeat_at,
        }
    }
}

/// List the gateways; the dead too, for an hour.
#[utoipa::path(
    get, path = "/v1/gateways", tag = "gateways",
    responses((status = 200, description = "All gateways, by name", body = Page<Gateway>), Problems)
)]
pub(super) async fn gateway_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let gateways = state.catalog.gateways().await?;
    shown(&Page::whole(gateways.into_iter().map(Gateway::from).collect()))
}

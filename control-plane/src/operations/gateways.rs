//! Waiting until every living gateway has followed a change of routes.
//!
//! The wait is bounded, because a gateway that hangs must not keep a tenant from being suspended or purged:
//! one that is not seen for a while is taken for dead, and what must hold regardless is enforced in PostgreSQL.

use super::context::StepContext;
use super::error::StepError;
use catalog_schema::{GATEWAY_LIVE_WITHIN, GatewayRecord};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long to wait for gateways that live and do not follow.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How often to look. Gateways report as soon as they have followed, so the wait is short.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until all have followed the catalog as it is now. The output names those that did not: the living, and those
/// that were not heard of for long, so that somebody can see whether one of them still serves.
pub(super) async fn follow(cx: &StepContext) -> Result<Value, StepError> {
    let revision = cx.catalog().current_revision().await?;
    let started = Instant::now();
    loop {
        let behind = cx.catalog().gateways_behind(revision, GATEWAY_LIVE_WITHIN).await?;
        if behind.is_empty() || started.elapsed() >= WAIT_MAX {
            let unheard = names(cx.catalog().gateways_unheard(revision, GATEWAY_LIVE_WITHIN).await?);
            let behind = names(behind);
            if !(behind.is_empty() && unheard.is_empty()) {
                tracing::warn!(?behind, ?unheard, "gateways did not follow in time, going on without them");
            }
            return Ok(json!({
                "revision": revision, "gateways_behind": behind, "gateways_unheard": unheard,
            }));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn names(gateways: Vec<GatewayRecord>) -> Vec<String> {
    gateways.into_iter().map(|gateway| gateway.gateway.name).collect()
}

//! `SHOW TENANTS`: every tenant that this gateway knows.

use super::waits;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::metrics::collector::readings::OpenPools;
use crate::pool::Pool;
use crate::resolve::Tenant;
use crate::shared::Shared;
use catalog_schema::RATE_WHOLE;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const COLUMNS: &[Column] = columns! {
    tenant: Text, tenant_id: Text, state: Text, isolation: Text, region: Text, generation: Int8,
    cluster: Text, database: Text, role: Text,
    clients: Int4, waiting: Int4, active: Int4, idle: Int4, opening: Int4,
    pool_size: Int4, client_limit: Int4, queue_limit: Int4, checkout_timeout_ms: Int4, floor: Int4, weight: Int4,
    paused: Int4, disabled: Int4, held_back: Int4,
    requests_per_second: Int4, request_burst: Int4, rate_share_percent: Int4, requests_left: Int4,
};

pub(super) fn rows(shared: &Arc<Shared>) -> Rows {
    let (pools, waits) = (OpenPools::read(&shared.pools), waits::of_all(&shared.clients));
    let shared = Arc::clone(shared);
    Box::new(shared.routes.all().into_iter().map(move |tenant| {
        let waiting = waits::of_tenant(&waits, tenant.id());
        row(&tenant, &pools, waiting, !shared.gate.is_open())
    }))
}

fn row(tenant: &Tenant, pools: &OpenPools, waiting: u32, all_paused: bool) -> Row {
    let route = tenant.route();
    let placement = route.placement.as_ref();
    let count = |of: fn(&Pool) -> u32| Value::Number(pools.sum(tenant.id(), of).into());
    vec![
        route.slug.to_string().into(),
        Value::display(route.tenant_id),
        word(&route.state),
        word(&route.isolation),
        route.region.to_string().into(),
        u64::try_from(route.generation.get()).unwrap_or(0).into(),
        Value::or_null(placement.map(|placement| placement.cluster.name.to_string())),
        Value::or_null(placement.map(|placement| placement.database.to_string())),
        Value::or_null(placement.map(|placement| placement.logins.owner.role.to_string())),
        tenant.clients().load(Ordering::Acquire).into(),
        waiting.into(),
        count(Pool::leased),
        count(Pool::idle),
        count(Pool::opening),
        route.limits.pool_size.into(),
        route.limits.client_limit.into(),
        route.limits.queue_limit.into(),
        route.limits.checkout_timeout_ms.into(),
        route.limits.floor.into(),
        route.limits.weight.into(),
        Value::flag(all_paused || !tenant.gate().is_open()),
        Value::flag(tenant.gate().is_disabled()),
        tenant.gate().waiting().into(),
    ]
    .into_iter()
    .chain(rate(tenant))
    .collect()
}

/// NULL for a tenant without a limit.
fn rate(tenant: &Tenant) -> [Value; 4] {
    let left = tenant.meter().remaining();
    [
        Value::or_null(left.map(|left| left.per_second)),
        Value::or_null(left.map(|left| left.burst)),
        Value::or_null(left.map(|left| left.share / (RATE_WHOLE / 100))),
        Value::or_null(left.map(|left| left.requests)),
    ]
}

/// The word that everything else calls it by.
pub(super) fn word(value: &impl serde::Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.into(),
        Ok(other) => other.to_string().into(),
        Err(_) => Value::Null,
    }
}

//! `SHOW DATABASES`: every tenant that this gateway knows, as PgBouncer shows databases.

use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::metrics::collector::readings::OpenPools;
use crate::resolve::Tenant;
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const COLUMNS: &[Column] = columns! {
    name: Text, host: Text, port: Int4, database: Text, force_user: Text,
    pool_size: Int4, min_pool_size: Int4, reserve_pool_size: Int4, server_lifetime: Int4,
    pool_mode: Text, load_balance_hosts: Text,
    max_connections: Int4, current_connections: Int4,
    max_client_connections: Int4, current_client_connections: Int4,
    paused: Int4, disabled: Int4,
    cluster: Text, tenant_id: Text,
};

pub(super) fn rows(shared: &Arc<Shared>) -> Rows {
    let (pools, shared) = (OpenPools::read(&shared.pools), Arc::clone(shared));
    Box::new(shared.routes.all().into_iter().map(move |tenant| {
        let connections = pools.sum(tenant.id(), |pool| pool.leased() + pool.idle() + pool.opening());
        row(&tenant, connections, &shared)
    }))
}

fn row(tenant: &Tenant, connections: u32, shared: &Shared) -> Row {
    let route = tenant.route();
    let placement = route.placement.as_ref();
    let paused = !tenant.gate().is_open() || !shared.gate.is_open();
    vec![
        route.slug.to_string().into(),
        Value::or_null(placement.map(|placement| placement.cluster.host.clone())),
        Value::or_null(placement.map(|placement| placement.cluster.port)),
        Value::or_null(placement.map(|placement| placement.database.to_string())),
        Value::or_null(placement.map(|placement| placement.logins.owner.role.to_string())),
        route.limits.pool_size.into(),
        0_u32.into(),
        0_u32.into(),
        shared.config.pool.max_lifetime().as_secs().into(),
        Value::Null,
        Value::Null,
        route.limits.pool_size.into(),
        connections.into(),
        route.limits.client_limit.into(),
        tenant.clients().load(Ordering::Acquire).into(),
        Value::flag(paused),
        Value::flag(tenant.gate().is_disabled()),
        Value::or_null(placement.map(|placement| placement.cluster.name.to_string())),
        Value::display(route.tenant_id),
    ]
}

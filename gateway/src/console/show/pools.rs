//! `SHOW POOLS`.

use super::waits::{self, seconds_and_micros};
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::metrics::collector::readings::OpenPools;
use crate::pool::Pool;
use crate::resolve::Tenant;
use crate::shared::Shared;
use std::sync::Arc;
use tenancy::Access;

pub(super) const COLUMNS: &[Column] = columns! {
    database: Text, user: Text,
    cl_active: Int4, cl_waiting: Int4, cl_active_cancel_req: Int4, cl_waiting_cancel_req: Int4,
    sv_active: Int4, sv_active_cancel: Int4, sv_being_canceled: Int4, sv_idle: Int4, sv_used: Int4,
    sv_tested: Int4, sv_login: Int4,
    maxwait: Int4, maxwait_us: Int4, pool_mode: Text, load_balance_hosts: Text,
    cluster: Text, pool_size: Int4,
    floor: Int4, weight: Int4, share: Int4, sv_long: Int4,
};

/// A row for each access for which a tenant has a pool or a client.
pub(super) fn rows(shared: &Shared) -> Rows {
    let (pools, waits) = (OpenPools::read(&shared.pools), waits::of_all(&shared.clients));
    let of_tenant = move |tenant: Arc<Tenant>| {
        let of_access = |access| {
            let pool = pools.of(tenant.id()).iter().find(|pool| pool.access() == access);
            let waits = waits.get(&(tenant.id(), access)).copied().unwrap_or_default();
            (pool.is_some() || waits.clients > 0)
                .then(|| row(&tenant, access, pool.map(|pool| &**pool), waits))
        };
        Access::ALL.into_iter().filter_map(of_access).collect::<Vec<_>>()
    };
    Box::new(shared.routes.all().into_iter().flat_map(of_tenant))
}

fn row(tenant: &Tenant, access: Access, pool: Option<&Pool>, waits: waits::Waits) -> Row {
    let route = tenant.route();
    let placement = route.placement.as_ref();
    let count = |of: fn(&Pool) -> u32| Value::Number(pool.map_or(0, of).into());
    let standing = pool.map(|pool| pool.cluster().standing(pool.member()));
    let (maxwait, maxwait_us) = seconds_and_micros(waits.longest);
    vec![
        route.slug.to_string().into(),
        access.as_str().into(),
        waits.clients.saturating_sub(waits.waiting).into(),
        waits.waiting.into(),
        0_u32.into(),
        0_u32.into(),
        count(Pool::leased),
        0_u32.into(),
        0_u32.into(),
        count(Pool::idle),
        0_u32.into(),
        0_u32.into(),
        count(Pool::opening),
        maxwait.into(),
        maxwait_us.into(),
        waits.pool_mode().into(),
        Value::Null,
        Value::or_null(placement.map(|placement| placement.cluster.name.to_string())),
        route.limits.pool_size.into(),
        route.limits.floor.into(),
        route.limits.weight.into(),
        Value::or_null(standing.map(|standing| standing.share)),
        standing.map_or(0, |standing| standing.long).into(),
    ]
}

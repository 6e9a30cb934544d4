//! The short tables: `SHOW LISTS`, `MEM`, `STATE`, `USERS` and `VERSION`.

use crate::clients::Client;
use crate::console::rows::{Column, Rows, Value, columns};
use crate::console::session::PRODUCT;
use crate::pool::servers::Server;
use crate::resolve::Tenant;
use crate::shared::Shared;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const LISTS: &[Column] = columns! { list: Text, items: Int4 };
pub(super) const MEM: &[Column] = columns! { name: Text, size: Int4, used: Int4, free: Int4, memtotal: Int4 };
pub(super) const STATE: &[Column] = columns! { key: Text, value: Text };
pub(super) const USERS: &[Column] = columns! {
    name: Text, pool_size: Text, reserve_pool_size: Text, pool_mode: Text,
    max_user_connections: Int4, current_connections: Int4,
    max_user_client_connections: Int4, current_client_connections: Int4,
};
pub(super) const VERSION: &[Column] = columns! { version: Text };

pub(super) fn lists(shared: &Shared) -> Rows {
    let clients = shared.clients.all();
    let users: HashSet<_> =
        clients.iter().map(|client| (client.about.tenant.id(), Arc::clone(&client.about.subject))).collect();
    // What we do not have cannot be counted as anything but none: peers, DNS, memory kept for the next client.
    let counts: [(&'static str, Value); 14] = [
        ("databases", shared.routes.len().into()),
        ("users", users.len().into()),
        ("peers", 0_u32.into()),
        ("pools", shared.pools.pools().len().into()),
        ("peer_pools", 0_u32.into()),
        ("free_clients", 0_u32.into()),
        ("used_clients", clients.len().into()),
        ("login_clients", shared.logins_under_way.load(Ordering::Acquire).into()),
        ("free_servers", 0_u32.into()),
        ("used_servers", count_servers(shared).into()),
        ("dns_names", 0_u32.into()),
        ("dns_zones", 0_u32.into()),
        ("dns_queries", 0_u32.into()),
        ("dns_pending", 0_u32.into()),
    ];
    Box::new(counts.into_iter().map(|(name, count)| vec![name.into(), count]))
}

fn count_servers(shared: &Shared) -> usize {
    shared.pools.clusters().iter().map(|cluster| cluster.servers().len()).sum()
}

/// What the lists behind the console take themselves: an entry's size and how many there are.
pub(super) fn mem(shared: &Shared) -> Rows {
    let counts = [
        ("client_entry", size_of::<Client>(), shared.clients.len()),
        ("server_entry", size_of::<Server>(), count_servers(shared)),
        ("tenant_entry", size_of::<Tenant>(), shared.routes.len()),
    ];
    Box::new(counts.into_iter().map(|(name, size, used)| {
        let total = size.saturating_mul(used);
        vec![name.into(), size.into(), used.into(), 0_u32.into(), total.into()]
    }))
}

pub(super) fn state(shared: &Shared) -> Rows {
    let yes_or_no = |yes: bool| Value::from(if yes { "yes" } else { "no" });
    let open = shared.gate.is_open();
    let states = [("active", open), ("paused", !open), ("suspended", false)];
    Box::new(states.into_iter().map(move |(key, value)| vec![key.into(), yes_or_no(value)]))
}

/// Users of tenants who are connected, by whom they have proved to be.
pub(super) fn users(shared: &Shared) -> Rows {
    let mut connected: BTreeMap<String, u32> = BTreeMap::new();
    for client in shared.clients.all() {
        let about = &client.about;
        *connected.entry(format!("{}.{}", about.subject, about.tenant.usage().label())).or_default() += 1;
    }
    Box::new(connected.into_iter().map(|(name, clients)| {
        vec![
            name.into(),
            Value::Null,
            Value::Null,
            Value::Null,
            0_u32.into(),
            Value::Null,
            0_u32.into(),
            clients.into(),
        ]
    }))
}

pub(super) fn version() -> Rows {
    Box::new(std::iter::once(vec![PRODUCT.into()]))
}

//! `SHOW CLUSTERS`: the servers that this gateway has used, and their budgets.

use super::tenants::word;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::pool::Cluster;
use crate::pool::breaker::Standing;
use crate::shared::Shared;
use std::time::Instant;

pub(super) const COLUMNS: &[Column] = columns! {
    cluster: Text, cluster_id: Text, state: Text, region: Text, host: Text, port: Int4, tls_mode: Text,
    connection_budget: Int4, share: Int4, connections: Int4, waiting_checkouts: Int4, servers: Int4, waiting_pools: Int4, reserved: Int4, long_held: Int4, long_held_limit: Int4, breaker: Text, next_login_ms: Int8,
    logins: Int4, trouble: Text,
};

pub(super) fn rows(shared: &Shared) -> Rows {
    Box::new(shared.pools.clusters().into_iter().map(|cluster| row(&cluster)))
}

fn row(cluster: &Cluster) -> Row {
    let (record, holdings) = (cluster.record(), cluster.holdings());
    let outlook = cluster.current_endpoint().map(|endpoint| endpoint.outlook(Instant::now()));
    let standing = outlook.as_ref().map_or(Standing::Closed, |outlook| outlook.standing);
    let next = outlook.as_ref().and_then(|outlook| outlook.next);
    vec![
        record.name.to_string().into(),
        Value::display(record.id),
        word(&record.state),
        record.region.to_string().into(),
        record.host.clone().into(),
        record.port.into(),
        word(&record.tls.mode),
        record.connection_budget.into(),
        holdings.limit.into(),
        holdings.held.into(),
        holdings.wanted.into(),
        cluster.servers().len().into(),
        holdings.waiting_pools.into(),
        holdings.reserved.into(),
        holdings.long.iter().sum::<u32>().into(),
        holdings.long_limit.into(),
        standing.as_str().into(),
        Value::or_null(next.map(|next| u64::try_from(next.as_millis()).unwrap_or(u64::MAX))),
        outlook.as_ref().map_or(0, |outlook| outlook.logins).into(),
        Value::or_null(outlook.and_then(|outlook| outlook.words)),
    ]
}

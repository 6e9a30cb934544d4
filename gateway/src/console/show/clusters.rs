//! `SHOW CLUSTERS`: the servers that this gateway has used, and their budgets.

use super::tenants::word;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::pool::Cluster;
use crate::shared::Shared;

pub(super) const COLUMNS: &[Column] = columns! {
    cluster: Text, cluster_id: Text, state: Text, region: Text, host: Text, port: Int4, tls_mode: Text,
    connection_budget: Int4, connections: Int4, waiting_checkouts: Int4, servers: Int4,
};

pub(super) fn rows(shared: &Shared) -> Rows {
    Box::new(shared.pools.clusters().into_iter().map(|cluster| row(&cluster)))
}

fn row(cluster: &Cluster) -> Row {
    let (record, budget) = (cluster.record(), cluster.budget());
    vec![
        record.name.to_string().into(),
        Value::display(record.id),
        word(&record.state),
        record.region.to_string().into(),
        record.host.clone().into(),
        record.port.into(),
        word(&record.tls.mode),
        budget.limit().into(),
        budget.used().into(),
        budget.waiting().into(),
        cluster.servers().len().into(),
    ]
}

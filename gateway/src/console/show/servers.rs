//! `SHOW SERVERS`.

use super::clients::{address, pointer, port, time, time_ago, tls};
use crate::clients::Clients;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::pool::Cluster;
use crate::pool::servers::Server;
use crate::shared::Shared;
use std::sync::Arc;

pub(super) const COLUMNS: &[Column] = columns! {
    type: Text, user: Text, database: Text, replication: Text, state: Text,
    addr: Text, port: Int4, local_addr: Text, local_port: Int4,
    connect_time: Text, request_time: Text,
    wait: Int4, wait_us: Int4, close_needed: Int4,
    ptr: Text, link: Text, remote_pid: Int4, tls: Text,
    application_name: Text, prepared_statements: Int4, id: Int4,
    cluster: Text, server_database: Text, age: Int4, pinned: Text, client_id: Int4,
};

pub(super) fn rows(shared: &Shared) -> Rows {
    let clients = Arc::clone(&shared.clients);
    let clusters = shared.pools.clusters().into_iter();
    Box::new(clusters.flat_map(move |cluster| {
        let clients = Arc::clone(&clients);
        let servers = cluster.servers().all().into_iter();
        servers.map(move |server| row(&server, &cluster, &clients))
    }))
}

fn row(server: &Server, cluster: &Cluster, clients: &Clients) -> Row {
    let purpose = &server.purpose;
    let state = if server.is_leased() { "active" } else { "idle" };
    let client = server.client();
    let application = client.and_then(|id| clients.find(id)).map(|client| client.about.application.clone());
    vec![
        "S".into(),
        purpose.role.to_string().into(),
        purpose.usage.label().into(),
        "none".into(),
        state.into(),
        Value::display(purpose.address.ip()),
        purpose.address.port().into(),
        address(purpose.local),
        port(purpose.local),
        time(server.connected),
        time_ago(server.since()),
        0_u32.into(),
        0_u32.into(),
        Value::flag(server.close_needed()),
        pointer("S", Some(server.id)),
        pointer("C", client),
        u32::try_from(purpose.process_id).unwrap_or(0).into(),
        tls(purpose.is_encrypted),
        application.unwrap_or_default().into(),
        Value::Null,
        server.id.into(),
        cluster.record().name.to_string().into(),
        purpose.database.to_string().into(),
        server.age().as_secs().into(),
        Value::or_null(server.pin_reason().map(|reason| reason.as_str())),
        Value::or_null(client),
    ]
}

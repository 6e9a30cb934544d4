//! `SHOW CLIENTS`.

use super::waits::seconds_and_micros;
use crate::clients::{Client, Doing};
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::shared::Shared;
use jiff::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const COLUMNS: &[Column] = columns! {
    type: Text, user: Text, database: Text, replication: Text, state: Text,
    addr: Text, port: Int4, local_addr: Text, local_port: Int4,
    connect_time: Text, request_time: Text,
    wait: Int4, wait_us: Int4, close_needed: Int4,
    ptr: Text, link: Text, remote_pid: Int4, tls: Text,
    application_name: Text, prepared_statements: Int4, id: Int4,
    tenant_id: Text,
};

pub(super) fn rows(shared: &Shared) -> Rows {
    Box::new(shared.clients.all().into_iter().map(|client| row(&client)))
}

fn row(client: &Client) -> Row {
    let about = &client.about;
    let doing = client.doing();
    let since = client.since();
    let waited = if doing == Doing::Waiting { since } else { Duration::ZERO };
    let (wait, wait_us) = seconds_and_micros(waited);
    vec![
        "C".into(),
        about.subject.to_string().into(),
        about.tenant.usage().label().into(),
        "none".into(),
        doing.as_str().into(),
        Value::display(about.peer.ip()),
        about.peer.port().into(),
        address(about.local),
        port(about.local),
        time(client.connected),
        time_ago(since),
        wait.into(),
        wait_us.into(),
        Value::flag(client.is_killed()),
        pointer("C", Some(client.id)),
        pointer("S", client.server()),
        // Known only of clients on a Unix socket.
        0_u32.into(),
        tls(about.is_encrypted),
        about.application.clone().into(),
        Value::Null,
        client.id.into(),
        Value::display(about.tenant.id()),
    ]
}

/// Our end of a connection, or the other's.
pub(super) fn address(address: Option<SocketAddr>) -> Value {
    Value::or_null(address.map(|address| address.ip().to_string()))
}

pub(super) fn port(address: Option<SocketAddr>) -> Value {
    Value::or_null(address.map(|address| address.port()))
}

/// A time as PgBouncer writes it.
pub(super) fn time(time: Timestamp) -> Value {
    Value::display(time.strftime("%Y-%m-%d %H:%M:%S UTC"))
}

pub(super) fn time_ago(ago: Duration) -> Value {
    Timestamp::now().checked_sub(ago).map_or(Value::Null, time)
}

/// PgBouncer names connections by where they lie in memory; ours have numbers, which do not repeat.
pub(super) fn pointer(kind: &str, id: Option<u64>) -> Value {
    id.map_or_else(|| "".into(), |id| format!("{kind}{id}").into())
}

/// PgBouncer says which protocol and cipher; we keep only that there is one.
pub(super) fn tls(is_encrypted: bool) -> Value {
    if is_encrypted { "TLS".into() } else { "".into() }
}

//! After a storm: clients are served again, and everything that was lent is back.

use harness::wire::WireClient;
use harness::{Stack, eventually, wait_until};

/// Asks until there is an answer, and returns the first column of its first row. After a failure clients are refused
/// until the next login is tried.
///
/// # Panics
/// When that does not come about, or a refusal ends the connection.
pub async fn answer_in_the_end(client: &mut WireClient, sql: &str) -> String {
    eventually("there is an answer", async || {
        let answer = client.query(sql).await.expect("an error leaves the client connected");
        answer.iter().find(|message| message.tag == b'D').map(|row| row.first_column())
    })
    .await
}

/// Waits until no pool has a lease, nobody waits, and the clusters have no connection but the idle ones of their pools.
///
/// # Panics
/// When that does not come about.
pub async fn nothing_is_lost(stack: &Stack) {
    wait_until("all gauges are back", async || {
        let busy = stack.metric("tenantry_pool_connections", &["state=\"active\""]).await
            + stack.metric("tenantry_pool_connections", &["state=\"opening\""]).await
            + stack.metric("tenantry_pool_waiting_clients", &[]).await
            + stack.metric("tenantry_cluster_waiting_checkouts", &[]).await
            + stack.metric("tenantry_cluster_logins_under_way", &[]).await;
        let idle = stack.metric("tenantry_pool_connections", &["state=\"idle\""]).await;
        busy == 0.0 && stack.metric("tenantry_cluster_connections", &[]).await == idle
    })
    .await;
}

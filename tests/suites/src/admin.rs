//! The clusters as their administrator sees them, past the gateway.

use harness::Stack;
use tokio_postgres::{Client, NoTls};

/// Connects to a cluster of the stack.
///
/// # Panics
/// When there is no such cluster, or it does not answer.
pub async fn connect(stack: &Stack, cluster: &str) -> Client {
    let known = stack.descriptor().clusters.iter().find(|known| known.name == cluster);
    let dsn = &known.expect("a cluster of the stack").admin_dsn;
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.expect("the cluster answers");
    // Ends when the client is dropped.
    tokio::spawn(connection);
    client
}

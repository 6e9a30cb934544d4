//! What `bb8` needs to know of a server connection.

use super::Cluster;
use crate::connect::{ConnectError, Connector, ServerConnection};
use std::sync::Arc;

/// Opens raw server connections for one pool and tells broken ones from good ones.
///
/// `bb8` keeps the idle connections and their statistics. It never queues a client and never opens a
/// connection behind our back: a client holds a slot of the pool before it asks, and the pool opens
/// connections itself, under the cluster's budget, and hands them over with `add`.
pub struct ServerManager {
    pub(super) cluster: Arc<Cluster>,
    pub(super) connector: Arc<Connector>,
}

impl bb8::ManageConnection for ServerManager {
    type Connection = ServerConnection;
    type Error = ConnectError;

    async fn connect(&self) -> Result<ServerConnection, ConnectError> {
        let permit = self.cluster.permit().await;
        self.connector.connect(permit).await
    }

    async fn is_valid(&self, connection: &mut ServerConnection) -> Result<(), ConnectError> {
        if connection.is_quiet() { Ok(()) } else { Err(ConnectError::Lost) }
    }

    fn has_broken(&self, connection: &mut ServerConnection) -> bool {
        !connection.may_return()
    }
}

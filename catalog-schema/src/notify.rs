//! Wake-ups from the catalog. They say that something changed, never what: whoever wakes asks.
//!
//! A wake-up can be lost with its connection, so it only ever shortens a wait that ends by itself.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::way::Link;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_postgres::{AsyncMessage, Client};

/// How often a silent connection is asked whether it still lives, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Wake-ups of one channel, over a connection of its own. Several that come while nobody waits are one.
pub struct Wakeups {
    client: Client,
    /// Holds at most one pending wake-up. Closed when the connection ends.
    pending: mpsc::Receiver<()>,
    ping: Interval,
}

/// Woken when a route changed.
pub type RouteWakeups = Wakeups;
/// Woken when gateways are to give or may take more of a cluster's budget.
pub type BudgetWakeups = Wakeups;
/// Woken when an operation was queued, cancelled, progressed or finished.
pub type OperationWakeups = Wakeups;

impl Catalog {
    /// Listens for changes of routes. Changes made before it returns are not announced: ask for them
    /// afterwards with [`Catalog::route_changes_since`].
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn listen_routes(&self) -> Result<RouteWakeups, CatalogError> {
        Wakeups::listen(self, "tenantry_routes").await
    }

    /// Listens for shares of budgets that others want, or have given back.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn listen_budgets(&self) -> Result<BudgetWakeups, CatalogError> {
        Wakeups::listen(self, "tenantry_budgets").await
    }

    /// Listens for news of operations.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn listen_operations(&self) -> Result<OperationWakeups, CatalogError> {
        Wakeups::listen(self, "tenantry_operations").await
    }
}

impl Wakeups {
    async fn listen(catalog: &Catalog, channel: &'static str) -> Result<Self, CatalogError> {
        let (client, connection) = catalog.listen_way().connect().await?;
        let (sender, pending) = mpsc::channel(1);
        // Ends with the connection, which ends when the client is dropped.
        tokio::spawn(forward(connection, sender));
        let listening = timeout(PING_TIMEOUT, client.batch_execute(&format!("listen {channel}"))).await;
        listening.map_err(|_| CatalogError::Timeout)??;
        let mut ping = interval(PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { client, pending, ping })
    }

    /// Waits for the next wake-up, as long as it takes. May be dropped and called again.
    ///
    /// # Errors
    /// When the connection is lost: listen again, and ask for what was missed.
    pub async fn next(&mut self) -> Result<(), CatalogError> {
        loop {
            tokio::select! {
                woken = self.pending.recv() => {
                    return woken.ok_or_else(|| CatalogError::unavailable("the listening connection was lost"));
                }
                _ = self.ping.tick() => {
                    timeout(PING_TIMEOUT, self.client.check_connection())
                        .await
                        .map_err(|_| CatalogError::Timeout)??;
                }
            }
        }
    }
}

async fn forward(mut connection: Link, sender: mpsc::Sender<()>) {
    let mut messages = poll_fn(|context| connection.poll_message(context));
    while let Some(Ok(message)) = messages.next().await {
        if matches!(message, AsyncMessage::Notification(_)) {
            // Full means that a wake-up is pending already; closed, that the client is going too.
            let _pending_or_closed = sender.try_send(());
        }
    }
}

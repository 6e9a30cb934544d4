//! One ear on the catalog for the whole process: wakes the worker and every progress stream.

use catalog_schema::{Catalog, CatalogError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long to wait before listening again after the catalog was lost. Whoever is to be woken polls as well.
const RELISTEN_PAUSE: Duration = Duration::from_secs(1);

/// The first of several notifications is passed on at once, those that follow closely as one: an operation
/// notifies with every step, and whoever is woken asks the catalog.
const WAKE_PAUSE: Duration = Duration::from_millis(20);

/// Two counts. One rises whenever some operation was queued, moved on or was cancelled, and says no more than that;
/// the other whenever we have begun to listen.
#[derive(Clone)]
pub(crate) struct Progress {
    moves: watch::Sender<u64>,
    listens: watch::Sender<u64>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { moves: watch::Sender::new(0), listens: watch::Sender::new(0) }
    }

    /// A subscription that sees what happens from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    /// A subscription to the moments at which we begin to listen, again after the catalog was away.
    pub(super) fn subscribe_listening(&self) -> watch::Receiver<u64> {
        self.listens.subscribe()
    }

    /// Wakes everybody.
    pub(crate) fn wake(&self) {
        rise(&self.moves);
    }

    /// Passes the catalog's notifications on until `shutdown`.
    pub(crate) async fn listen(self, catalog: Catalog, shutdown: CancellationToken) {
        let listening = async {
            loop {
                if let Err(error) = self.listen_once(&catalog).await {
                    tracing::debug!(%error, "no longer notified of operations, polling instead");
                }
                tokio::time::sleep(RELISTEN_PAUSE).await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn listen_once(&self, catalog: &Catalog) -> Result<(), CatalogError> {
        let mut wakeups = catalog.listen_operations().await?;
        rise(&self.listens);
        // What happened before we listened was not announced to us.
        self.wake();
        loop {
            wakeups.next().await?;
            self.wake();
            tokio::time::sleep(WAKE_PAUSE).await;
        }
    }
}

fn rise(count: &watch::Sender<u64>) {
    count.send_modify(|count| *count = count.wrapping_add(1));
}

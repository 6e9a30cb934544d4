//! Tells the catalog when credentials were used last.
//!
//! Nothing waits for it: routes are followed, and leases renewed, whatever becomes of this.

use super::Progress;
use crate::authenticate::uses::Uses;
use catalog_schema::Catalog;
use std::sync::Arc;
use std::time::Duration;

/// The uses, and whom to tell.
pub(super) struct Telling {
    pub(super) catalog: Catalog,
    pub(super) uses: Arc<Uses>,
    pub(super) progress: Arc<Progress>,
    /// How often.
    pub(super) interval: Duration,
}

impl Telling {
    /// Tells them, for ever. What could not be told is told the next time.
    pub(super) async fn keep_telling(&self) {
        let mut turn = tokio::time::interval(self.interval);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if self.progress.connected() {
                self.tell().await;
            }
        }
    }

    async fn tell(&self) {
        let uses = self.uses.take();
        if let Err(error) = self.catalog.note_uses(&uses).await {
            tracing::info!(%error, "the last uses of credentials could not be told");
            self.uses.give_back(uses);
        }
    }
}

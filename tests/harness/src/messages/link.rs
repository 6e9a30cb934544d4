//! What the two directions of one connection share.

use super::plan::{Mischief, Place};
use super::script::{Script, Scripts};
use crate::Direction;
use std::sync::Arc;
use std::sync::OnceLock;
use tokio::sync::watch;

/// One connection through the proxy.
#[derive(Debug)]
pub(super) struct Link {
    scripts: Arc<Scripts>,
    /// Set by its startup packet; `None` when it is nothing that is counted.
    script: OnceLock<Option<Arc<Script>>>,
    /// Once it was struck: how many releases there had been.
    struck: watch::Sender<Option<u64>>,
}

impl Link {
    pub(super) fn new(scripts: Arc<Scripts>) -> Self {
        Self { scripts, script: OnceLock::new(), struck: watch::Sender::new(None) }
    }

    /// The session is with this database; `None`: it is no session that can be read.
    pub(super) fn is_for(&self, database: Option<&str>) {
        let _ = self.script.set(database.map(|name| self.scripts.of(name)));
    }

    fn script(&self) -> Option<&Arc<Script>> {
        self.script.get()?.as_ref()
    }

    /// Its messages are counted. Before the startup packet there are none.
    pub(super) fn is_counted(&self) -> bool {
        !matches!(self.script.get(), Some(None))
    }

    pub(super) fn turn(&self, direction: Direction) -> Option<(Place, Mischief)> {
        self.script()?.turn(direction)
    }

    /// Before the strike, so that no release is missed.
    pub(super) fn strike_begins(&self) {
        if let Some(script) = self.script() {
            self.struck.send_replace(Some(script.releases()));
        }
    }

    pub(super) fn strike_is_over(&self) {
        if let Some(script) = self.script() {
            script.strike_is_over();
        }
    }

    /// The connection has ended, and with it what was done to it.
    pub(super) fn is_over(&self) {
        if self.struck.borrow().is_some() {
            self.strike_is_over();
        }
    }

    /// Resolves when the connection was struck and its script has released it.
    pub(super) async fn released(&self) {
        // Both senders live as long as this does.
        let mut struck = self.struck.subscribe();
        let before = struck.wait_for(Option::is_some).await.ok().and_then(|count| *count);
        match (self.script(), before) {
            (Some(script), Some(before)) => script.released_since(before).await,
            _ => std::future::pending().await,
        }
    }
}

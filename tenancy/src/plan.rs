//! What a plan allows.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The limits in force for one tenant: its plan's, with its own overrides applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Server connections that one gateway may use for the tenant at once.
    pub pool_size: u32,
    /// Client connections that one gateway accepts for the tenant at once.
    pub client_limit: u32,
    /// Clients that may wait for a server connection; one more is refused.
    pub queue_limit: u32,
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    pub checkout_timeout_ms: u32,
}

impl Limits {
    /// How long a client waits for a server connection before it is refused.
    #[must_use]
    pub const fn checkout_timeout(&self) -> Duration {
        Duration::from_millis(self.checkout_timeout_ms as u64)
    }
}

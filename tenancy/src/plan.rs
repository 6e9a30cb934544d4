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
    /// Server connections that one gateway keeps for the tenant: others take none of them while the tenant wants
    /// them. No more than [`Limits::pool_size`] of them count.
    pub floor: u32,
    /// What is due to the tenant beside the others of its cluster when there are not enough connections for all: one
    /// of twice the weight gets twice as many. From 1 to [`WEIGHT_MAX`].
    pub weight: u32,
}

/// The weight of who has none of its own.
pub const WEIGHT_DEFAULT: u32 = 100;

/// The largest weight: nobody counts for more than a thousand others.
pub const WEIGHT_MAX: u32 = 1_000;

impl Limits {
    /// How long a client waits for a server connection before it is refused.
    #[must_use]
    pub const fn checkout_timeout(&self) -> Duration {
        Duration::from_millis(self.checkout_timeout_ms as u64)
    }
}

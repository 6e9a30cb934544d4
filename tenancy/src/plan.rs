//! What a plan allows.

use crate::storage::StorageStanding;
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
    /// Requests a second over all gateways; 0 for no limit.
    pub requests_per_second: u32,
    /// Requests that may come at once before [`Limits::requests_per_second`] holds; 0 for as many as that.
    pub request_burst: u32,
    /// How long a statement may run, in milliseconds; 0 for no limit of the tenant's.
    pub statement_timeout_ms: u32,
    /// How long a transaction may wait for its client, in milliseconds; 0 for no limit of the tenant's.
    pub idle_in_transaction_timeout_ms: u32,
    /// PostgreSQL's `work_mem` for the tenant's sessions, in kilobytes; 0 for the server's.
    pub work_mem_kb: u32,
    /// The result of one HTTP request, in bytes; 0 for no limit of the tenant's.
    pub result_bytes_max: u64,
    /// The body of one HTTP request, in bytes; 0 for no limit of the tenant's.
    pub body_bytes_max: u64,
    /// What the tenant's database may take before its owner is warned, in bytes; 0 for never.
    pub storage_soft_bytes: u64,
    /// What the tenant's database may take before it is read-only, in bytes; 0 for no limit.
    pub storage_hard_bytes: u64,
}

/// The weight of who has none of its own.
pub const WEIGHT_DEFAULT: u32 = 100;

/// The largest weight: nobody counts for more than a thousand others.
pub const WEIGHT_MAX: u32 = 1_000;

/// What a full tenant may still take, so that it can delete: versions of rows, a copy of a table that is compacted.
const STORAGE_MARGIN_MIN: u64 = 16 * 1024 * 1024;

fn storage_margin(hard: u64) -> u64 {
    (hard / 10).max(STORAGE_MARGIN_MIN)
}

impl Limits {
    /// Those of the plan `standard` of a new catalog.
    pub const STANDARD: Self = Self {
        pool_size: 20,
        client_limit: 500,
        queue_limit: 1_000,
        checkout_timeout_ms: 10_000,
        floor: 0,
        weight: WEIGHT_DEFAULT,
        requests_per_second: 0,
        request_burst: 0,
        statement_timeout_ms: 0,
        idle_in_transaction_timeout_ms: 0,
        work_mem_kb: 0,
        result_bytes_max: 0,
        body_bytes_max: 0,
        storage_soft_bytes: 0,
        storage_hard_bytes: 0,
    };

    /// How a database of so many bytes stands with the quotas; `sealed_bytes` is what it took when it was sealed, if it
    /// is. The catalog decides for gateways by the same rule (`catalog.storage_standing`).
    #[must_use]
    pub fn storage_standing(&self, bytes: u64, sealed_bytes: Option<u64>) -> StorageStanding {
        let hard = self.storage_hard_bytes;
        let margin = storage_margin(hard);
        if hard > 0 && bytes >= hard.saturating_add(margin) {
            let has_grown = |sealed: u64| bytes >= sealed.saturating_add(margin);
            if sealed_bytes.is_some_and(has_grown) {
                StorageStanding::Closed
            } else {
                StorageStanding::Sealed
            }
        } else if hard > 0 && bytes >= hard {
            StorageStanding::Full
        } else if self.storage_soft_bytes > 0 && bytes >= self.storage_soft_bytes {
            StorageStanding::Near
        } else {
            StorageStanding::Within
        }
    }

    /// How long a client waits for a server connection before it is refused.
    #[must_use]
    pub const fn checkout_timeout(&self) -> Duration {
        Duration::from_millis(self.checkout_timeout_ms as u64)
    }
}

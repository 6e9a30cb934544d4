//! How a gateway keeps the routes it has looked up.

use crate::section::Section;
use serde::Serialize;
use std::time::Duration;

/// The gateway's route cache and its ties to the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteCacheConfig {
    /// `routes.capacity`: tenants remembered, 100,000, at roughly 2 kB each. Smaller than the number
    /// of tenants in use, it sends a look-up to the catalog for each one that was pushed out, and
    /// those are not served while the catalog is down.
    pub capacity: usize,
    /// `routes.negative_ttl_ms`: how long an unknown name stays unknown without asking again,
    /// milliseconds, 1,000. Too short and a flood of wrong names reaches the catalog; too long and a
    /// tenant made a moment ago may be refused, if the notification of it was lost.
    pub negative_ttl_ms: u64,
    /// `routes.resync_interval_ms`: how often the gateway asks for changes although nobody notified
    /// it, milliseconds, 5,000. It bounds how long a lost notification can matter.
    pub resync_interval_ms: u64,
    /// `routes.heartbeat_interval_ms`: how often the gateway reports what it has applied,
    /// milliseconds, 2,000. The control plane waits for these reports: longer intervals make every
    /// change that needs all gateways slower. It takes a gateway for dead after a few missed ones. A gateway's shares
    /// of connection budgets are good for four of them, and for 4 s at least: then it uses only their floors.
    pub heartbeat_interval_ms: u64,
}

impl Default for RouteCacheConfig {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            negative_ttl_ms: 1_000,
            resync_interval_ms: 5_000,
            heartbeat_interval_ms: 2_000,
        }
    }
}

impl RouteCacheConfig {
    /// [`Self::negative_ttl_ms`] as a duration.
    #[must_use]
    pub const fn negative_ttl(&self) -> Duration {
        Duration::from_millis(self.negative_ttl_ms)
    }

    /// [`Self::resync_interval_ms`] as a duration.
    #[must_use]
    pub const fn resync_interval(&self) -> Duration {
        Duration::from_millis(self.resync_interval_ms)
    }

    /// [`Self::heartbeat_interval_ms`] as a duration.
    #[must_use]
    pub const fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_interval_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let routes = Self {
            capacity: section.number("capacity", defaults.capacity, &(16..=10_000_000)),
            negative_ttl_ms: section.number("negative_ttl_ms", defaults.negative_ttl_ms, &(0..=60_000)),
            resync_interval_ms: section.number(
                "resync_interval_ms",
                defaults.resync_interval_ms,
                &(100..=600_000),
            ),
            heartbeat_interval_ms: section.number(
                "heartbeat_interval_ms",
                defaults.heartbeat_interval_ms,
                &(100..=10_000),
            ),
        };
        section.finish();
        routes
    }
}

//! How often, and how fast, the sizes of tenants' databases are measured.

use crate::section::Section;
use std::time::Duration;

/// `[storage]` of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// `storage.interval_ms`: how long after its last measurement a database is measured again, milliseconds, 60,000. A
    /// tenant is read-only within this and a second of reaching its hard quota.
    pub interval_ms: u64,
    /// `storage.rate_max`: databases that one control plane measures in a second on one cluster, 50. A measurement looks
    /// at every file of a database. A cluster with more databases than this bears in an interval has each measured less often.
    pub rate_max: u32,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { interval_ms: 60_000, rate_max: 50 }
    }
}

impl StorageConfig {
    /// [`Self::interval_ms`] as a duration.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let storage = Self {
            interval_ms: section.number("interval_ms", defaults.interval_ms, &(100..=86_400_000)),
            rate_max: section.number("rate_max", defaults.rate_max, &(1..=10_000)),
        };
        section.finish();
        storage
    }
}

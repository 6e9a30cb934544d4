//! How the control plane works through its operations.

use crate::section::Section;
use std::time::Duration;

/// The worker that claims operations and runs their steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `worker.concurrency`: operations run at once by this process, 4. More provision faster until
    /// the clusters' checkpoints become the bottleneck; each may hold a catalog connection.
    pub concurrency: usize,
    /// `worker.lease_ms`: how long a claim lasts without being renewed, milliseconds, 30,000. After a
    /// crash, work stands still for this long; much shorter and a slow network loses claims.
    pub lease_ms: u64,
    /// `worker.poll_ms`: how often the worker looks for work although nobody notified it,
    /// milliseconds, 1,000. Must be shorter than the lease.
    pub poll_ms: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { concurrency: 4, lease_ms: 30_000, poll_ms: 1_000 }
    }
}

impl WorkerConfig {
    /// [`Self::lease_ms`] as a duration.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// [`Self::poll_ms`] as a duration.
    #[must_use]
    pub const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let worker = Self {
            concurrency: section.number("concurrency", defaults.concurrency, &(1..=256)),
            lease_ms: section.number("lease_ms", defaults.lease_ms, &(500..=3_600_000)),
            poll_ms: section.number("poll_ms", defaults.poll_ms, &(50..=600_000)),
        };
        if worker.poll_ms >= worker.lease_ms {
            section.problem(
                "poll_ms",
                format!("{} must be shorter than lease_ms, which is {}", worker.poll_ms, worker.lease_ms),
            );
        }
        section.finish();
        worker
    }
}

//! How much a gateway tells about single tenants.

use crate::section::Section;
use serde::Serialize;

/// Bounds of the per-tenant series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricsConfig {
    /// `metrics.tenants_exact_max`: tenants with series of their own, the busiest, 500; the rest are
    /// counted together as `_other`. A tenant has some twenty series: ten times the number is ten
    /// times the load on Prometheus. 0 counts all together.
    pub tenants_exact_max: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { tenants_exact_max: 500 }
    }
}

impl MetricsConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let tenants_exact_max =
            section.number("tenants_exact_max", Self::default().tenants_exact_max, &(0..=20_000));
        section.finish();
        Self { tenants_exact_max }
    }
}

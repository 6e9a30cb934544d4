//! What an SRE watches.
//!
//! Code on the hot path adds to plain counters in [`usage`]; nothing there has a label or a lock. At
//! scrape time [`collector`] reads them and what the pools and caches hold, and [`tenants`] decides
//! which tenants get series of their own, so that their number is bounded whatever happens.

pub mod anomalies;
pub mod collector;
pub mod family;
pub mod tenants;
pub mod usage;

pub use collector::GatewayMetrics;
pub use usage::{Counter, GatewayUsage, TenantUsage};

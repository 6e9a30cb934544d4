//! Cancel requests: from clients, and between gateways.

use crate::section::Section;
use serde::Serialize;
use std::time::Duration;

/// How cancel requests are passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CancelConfig {
    /// `cancel.advertise`: where other gateways reach this one's PostgreSQL listener, `host:port`; the listener's
    /// own address if it is not set. Required where that is `0.0.0.0`: a cancel request that a load balancer gives
    /// to another gateway is lost without it.
    pub advertise: Option<String>,
    /// `cancel.timeout_ms`: how long passing one on may take, to a server or to another gateway, milliseconds,
    /// 5,000.
    pub timeout_ms: u64,
    /// `cancel.at_once_max`: requests that are passed on at the same time, 64. More wait for their turn, within
    /// `timeout_ms`.
    pub at_once_max: u32,
    /// `cancel.per_source_max`: requests that one address may send in a second, 500. What is above is dropped, so
    /// that keys cannot be tried out and clusters not be flooded. Behind a load balancer all clients are one address.
    pub per_source_max: u32,
}

impl Default for CancelConfig {
    fn default() -> Self {
        Self { advertise: None, timeout_ms: 5_000, at_once_max: 64, per_source_max: 500 }
    }
}

impl CancelConfig {
    /// [`Self::timeout_ms`] as a duration.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let cancel = Self {
            advertise: section.optional("advertise"),
            timeout_ms: section.number("timeout_ms", defaults.timeout_ms, &(100..=60_000)),
            at_once_max: section.number("at_once_max", defaults.at_once_max, &(1..=10_000)),
            per_source_max: section.number("per_source_max", defaults.per_source_max, &(1..=1_000_000)),
        };
        if cancel.advertise.as_deref().is_some_and(|address| !is_address(address)) {
            section.problem("advertise", "must be a host and a port, such as 10.0.0.5:6432");
        }
        section.finish();
        cancel
    }
}

/// A name or an IP address, and a port that can be dialled.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.5:6432", "gateway-1.db.svc:6432", "[::1]:6432"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "10.0.0.5", ":6432", "gateway:", "gateway:0", "gateway:70000"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}

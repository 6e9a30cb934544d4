//! The registry that `/metrics` shows: everything is read when it is asked for.

pub mod budget_families;
mod console_families;
mod gateway_families;
pub mod http_families;
pub mod login_families;
pub mod rate_families;
pub mod readings;
pub mod share_families;
mod tenant_families;
mod tls_families;
mod token_families;

use super::family::Family;
use super::tenants::{Tenants, View};
use crate::shared::Shared;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder, proto};
use readings::Readings;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The gateway's metrics.
pub struct GatewayMetrics {
    registry: Registry,
    /// One scrape after another: what a scrape holds in memory is not multiplied.
    turn: Mutex<()>,
}

impl GatewayMetrics {
    /// Metrics over what the connections share.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let exact_max = shared.config.metrics.tenants_exact_max;
        Self::over(exact_max, move || Readings::take(&shared))
    }

    fn over(exact_max: usize, read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        let registry = Registry::new();
        let collector = GatewayCollector::new(exact_max, Box::new(read));
        registry.register(Box::new(collector)).expect("the names are constants, and tested");
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .expect("no other family begins with process_");
        Self { registry, turn: Mutex::new(()) }
    }

    /// All metrics in Prometheus' text format. Takes time in proportion to the tenants: call it where
    /// blocking is allowed.
    #[must_use]
    pub fn render(&self) -> String {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics could not be written");
            String::new()
        })
    }
}

struct GatewayCollector {
    read: Box<dyn Fn() -> Readings + Send + Sync>,
    tenants: Mutex<Tenants>,
    descs: Vec<Desc>,
}

impl GatewayCollector {
    fn new(exact_max: usize, read: Box<dyn Fn() -> Readings + Send + Sync>) -> Self {
        let nothing = Tenants::new(0).observe(Instant::now(), Vec::new());
        let all = families(&Readings::default(), &nothing);
        let descs: prometheus::Result<_> = all.iter().map(Family::desc).collect();
        Self {
            read,
            tenants: Mutex::new(Tenants::new(exact_max)),
            descs: descs.expect("the names are constants, and tested"),
        }
    }
}

impl Collector for GatewayCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Read under the lock: of two scrapes at once, the one that reads first is also taken in first.
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut readings = (self.read)();
        let view = tenants.observe(Instant::now(), std::mem::take(&mut readings.tenants));
        drop(tenants);
        families(&readings, &view).into_iter().map(Family::finish).collect()
    }
}

/// Every family there is, also those that have no rows now.
fn families(readings: &Readings, view: &View) -> Vec<Family> {
    let mut families = tenant_families::families(view);
    families.extend(gateway_families::families(readings, view));
    families.extend(login_families::families(&readings.logins));
    families.extend(share_families::families(&readings.shares));
    families.extend(budget_families::families(&readings.budgets));
    families.extend(console_families::families(&readings.console));
    families.extend(rate_families::families(&readings.rates));
    families.extend(tls_families::families(readings.tls.as_ref()));
    families.extend(token_families::families(&readings.tokens));
    families.extend(http_families::families(&readings.http));
    families
}

#[cfg(test)]
mod tests;

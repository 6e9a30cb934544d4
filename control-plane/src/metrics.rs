//! What a scrape of the control plane shows. Labels are routes, kinds and steps: words of ours, so few.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, exponential_buckets,
};
use std::time::Duration;
use tenancy::StorageStanding;

/// The families, in a registry of their own so that a test reads a fresh one.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    operations: IntCounterVec,
    operations_running: IntGauge,
    step_seconds: HistogramVec,
    step_failures: IntCounterVec,
    wrong_tokens: IntCounterVec,
    wrong_token_addresses: IntGauge,
    sign_ins: IntCounterVec,
    connections_refused: IntCounter,
    roles_put_in_order: IntCounter,
    role_settings: IntCounterVec,
    storage_measurements: IntCounterVec,
    storage_tenants: IntGaugeVec,
}

/// What became of a wrong token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrongToken {
    /// It was looked for and not found.
    Refused,
    /// Its address had shown too many: it was not looked at, and may have been right.
    NotLookedAt,
}

/// What became of something that is tried again when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// It is not.
    Failed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What became of an attempt to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInOutcome {
    /// A session began.
    Done,
    /// Unknown address or wrong password.
    Refused,
    /// There were too many: it was not looked at.
    NotLookedAt,
}

impl Metrics {
    /// Makes and registers every family.
    ///
    /// # Errors
    /// Two families of one name, which is a mistake of ours.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        // 1 ms to 16 s for requests, 4 ms to 65 s for steps: a drop waits for a checkpoint.
        let request_buckets = exponential_buckets(0.001, 2.0, 15)?;
        let step_buckets = exponential_buckets(0.004, 2.0, 15)?;
        let metrics = Self {
            registry: Registry::new(),
            requests: counters("requests_total", "Requests answered.", &["route", "method", "status"])?,
            request_seconds: histograms(
                "request_seconds",
                "Time to answer.",
                &["route", "method"],
                request_buckets,
            )?,
            operations: counters("operations_finished_total", "Operations that ended.", &["kind", "state"])?,
            operations_running: IntGauge::new(
                name("operations_running"),
                "Operations that this process works on.",
            )?,
            step_seconds: histograms("step_seconds", "Time a step took.", &["kind", "step"], step_buckets)?,
            step_failures: counters(
                "step_failures_total",
                "Attempts of steps that failed.",
                &["kind", "step"],
            )?,
            wrong_tokens: counters(
                "wrong_tokens_total",
                "Tokens that opened nothing, and tokens that were not looked at after too many of those.",
                &["outcome"],
            )?,
            sign_ins: counters("sign_ins_total", "Attempts to sign in by a password.", &["outcome"])?,
            connections_refused: IntCounter::new(
                name("connections_refused_total"),
                "Connections to the API that were closed at once because their address had as many as it may.",
            )?,
            roles_put_in_order: IntCounter::new(
                name("roles_put_in_order_total"),
                "Tenants whose login roles had changed their own password or settings, and were put in order.",
            )?,
            role_settings: counters(
                "role_settings_total",
                "Attempts to put what a plan says of sessions on a tenant's login roles.",
                &["outcome"],
            )?,
            storage_measurements: counters(
                "storage_measurements_total",
                "Tenants' databases whose size was to be measured.",
                &["outcome"],
            )?,
            storage_tenants: IntGaugeVec::new(
                Opts::new(name("storage_tenants"), "Tenants by how they stand with their storage quota."),
                &["standing"],
            )?,
            wrong_token_addresses: IntGauge::new(
                name("wrong_token_addresses"),
                "Addresses that have shown wrong tokens lately.",
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.request_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.operations.clone()))?;
        metrics.registry.register(Box::new(metrics.operations_running.clone()))?;
        metrics.registry.register(Box::new(metrics.step_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.step_failures.clone()))?;
        metrics.registry.register(Box::new(metrics.wrong_tokens.clone()))?;
        metrics.registry.register(Box::new(metrics.wrong_token_addresses.clone()))?;
        metrics.registry.register(Box::new(metrics.sign_ins.clone()))?;
        metrics.registry.register(Box::new(metrics.connections_refused.clone()))?;
        metrics.registry.register(Box::new(metrics.roles_put_in_order.clone()))?;
        metrics.registry.register(Box::new(metrics.role_settings.clone()))?;
        metrics.registry.register(Box::new(metrics.storage_measurements.clone()))?;
        metrics.registry.register(Box::new(metrics.storage_tenants.clone()))?;
        Ok(metrics)
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, method, status.to_string().as_str()]).inc();
        self.request_seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// An operation reached its end.
    pub(crate) fn operation_finished(&self, kind: &str, state: &str) {
        self.operations.with_label_values(&[kind, state]).inc();
    }

    /// A step ended well.
    pub(crate) fn step_done(&self, kind: &str, step: &str, took: Duration) {
        self.step_seconds.with_label_values(&[kind, step]).observe(took.as_secs_f64());
    }

    /// An attempt of a step failed.
    pub(crate) fn step_failed(&self, kind: &str, step: &str) {
        self.step_failures.with_label_values(&[kind, step]).inc();
    }

    /// Counts an operation as running until the guard is dropped.
    pub(crate) fn running(&self) -> Running {
        self.operations_running.inc();
        Running(self.operations_running.clone())
    }

    /// A token opened nothing; so many addresses have shown such tokens lately.
    pub(crate) fn wrong_token(&self, outcome: WrongToken, addresses: usize) {
        let outcome = match outcome {
            WrongToken::Refused => "refused",
            WrongToken::NotLookedAt => "not-looked-at",
        };
        self.wrong_tokens.with_label_values(&[outcome]).inc();
        self.wrong_token_addresses.set(i64::try_from(addresses).unwrap_or(i64::MAX));
    }

    /// Somebody tried to sign in.
    pub(crate) fn sign_in(&self, outcome: SignInOutcome) {
        let outcome = match outcome {
            SignInOutcome::Done => "done",
            SignInOutcome::Refused => "refused",
            SignInOutcome::NotLookedAt => "not-looked-at",
        };
        self.sign_ins.with_label_values(&[outcome]).inc();
    }

    /// A connection was closed because there were too many from its address.
    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// A tenant's login roles had changed themselves and were put in order.
    pub(crate) fn roles_put_in_order(&self) {
        self.roles_put_in_order.inc();
    }

    /// Settings were to be put on a tenant's login roles.
    pub(crate) fn role_settings(&self, outcome: Outcome) {
        self.role_settings.with_label_values(&[outcome.as_str()]).inc();
    }

    /// So many databases were to be measured.
    pub(crate) fn storage_measured(&self, outcome: Outcome, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.storage_measurements.with_label_values(&[outcome.as_str()]).inc_by(count);
    }

    /// How many tenants stand how with their quota; nobody stands as what is left out.
    pub(crate) fn storage_standings(&self, standings: &[(StorageStanding, u64)]) {
        for standing in StorageStanding::ALL {
            let tenants =
                standings.iter().find(|(one, _)| *one == standing).map_or(0, |(_, tenants)| *tenants);
            let tenants = i64::try_from(tenants).unwrap_or(i64::MAX);
            self.storage_tenants.with_label_values(&[standing.as_str()]).set(tenants);
        }
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// An operation at work.
pub(crate) struct Running(IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn name(family: &str) -> String {
    format!("tenantry_control_plane_{family}")
}

fn counters(family: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name(family), help), labels)
}

fn histograms(
    family: &str,
    help: &str,
    labels: &[&str],
    buckets: Vec<f64>,
) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(HistogramOpts::new(name(family), help).buckets(buckets), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::new().unwrap();
        metrics.request("/v1/tenants", "GET", 200, Duration::from_millis(3));
        let running = metrics.running();
        assert!(metrics.text().unwrap().contains("tenantry_control_plane_operations_running 1"));
        drop(running);
        let text = metrics.text().unwrap();
        assert!(text.contains("tenantry_control_plane_operations_running 0"), "{text}");
        assert!(
            text.contains(r#"requests_total{method="GET",route="/v1/tenants",status="200"} 1"#),
            "{text}"
        );
    }
}

//! Metric families as tables: a name and its help once, then rows.

use prometheus::core::Desc;
use prometheus::proto;
use std::collections::HashMap;

/// What a family measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// A family before it has rows.
#[derive(Debug)]
pub struct Spec {
    /// The name: base units, `_total` for counters.
    pub name: &'static str,
    /// One sentence for whoever reads a dashboard.
    pub help: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Names of the labels, in the order in which rows give their values.
    pub labels: &'static [&'static str],
}

impl Spec {
    /// A counter.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, labels }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, labels }
    }

    /// A histogram without labels.
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Histogram, labels: &[] }
    }
}

/// A family being filled with rows.
#[derive(Debug)]
pub struct Family {
    spec: &'static Spec,
    rows: Vec<proto::Metric>,
}

impl Family {
    /// No rows yet. A family that stays empty is not shown.
    #[must_use]
    pub fn new(spec: &'static Spec) -> Self {
        Self { spec, rows: Vec::new() }
    }

    /// The description that a registry asks for.
    ///
    /// # Errors
    /// A name or label that Prometheus does not allow.
    pub fn desc(&self) -> prometheus::Result<Desc> {
        let labels = self.spec.labels.iter().map(|label| (*label).to_owned()).collect();
        Desc::new(self.spec.name.to_owned(), self.spec.help.to_owned(), labels, HashMap::new())
    }

    /// Adds a counter or a gauge with these label values.
    #[must_use]
    pub fn row(mut self, labels: &[&str], value: impl Into<Value>) -> Self {
        self.push(labels, value);
        self
    }

    /// [`Self::row`], for loops.
    pub fn push(&mut self, labels: &[&str], value: impl Into<Value>) {
        let Value(value) = value.into();
        let mut metric = proto::Metric::from_label(self.pairs(labels));
        match self.spec.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                debug_assert_eq!(self.spec.kind, Kind::Gauge, "{}", self.spec.name);
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.rows.push(metric);
    }

    /// Adds a histogram: for each bound how many were counted between it and the one before, one more
    /// count for what lies above all bounds, and the sum of the sizes.
    #[must_use]
    pub fn distribution(mut self, bounds: impl IntoIterator<Item = f64>, counts: &[u64], sum: f64) -> Self {
        let mut cumulative = 0;
        let buckets = bounds.into_iter().zip(counts).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum);
        let mut metric = proto::Metric::default();
        metric.set_histogram(histogram);
        self.rows.push(metric);
        self
    }

    /// The family for the registry.
    #[must_use]
    pub fn finish(self) -> proto::MetricFamily {
        let mut family = proto::MetricFamily::default();
        family.set_name(self.spec.name.to_owned());
        family.set_help(self.spec.help.to_owned());
        family.set_field_type(match self.spec.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(self.rows);
        family
    }

    fn pairs(&self, values: &[&str]) -> Vec<proto::LabelPair> {
        debug_assert_eq!(values.len(), self.spec.labels.len(), "{}", self.spec.name);
        let pairs = self.spec.labels.iter().zip(values).map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        pairs.collect()
    }
}

/// A sample's value.
#[derive(Debug, Clone, Copy)]
pub struct Value(f64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<u64> for Value {
    /// Prometheus knows nothing but doubles: above 2^53 the last digits are lost.
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(f64::from(u8::from(value)))
    }
}

/// Microseconds as the seconds that Prometheus wants.
#[must_use]
pub fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

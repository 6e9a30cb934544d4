//! What a run has found, for programs (JSON) and for people (a table).

use crate::engine::Found;
use crate::plan::{Plan, Window};
use crate::tally::Tally;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A run. Times are milliseconds, rates are a second.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Everything that was asked for; the same plan drives the same requests.
    pub(crate) plan: Plan,
    /// CPU of this program's driving threads, in cores. Near [`Plan::threads`] it is this program that was measured.
    pub(crate) driver_cores: f64,
    /// One for each stream and counted window.
    pub(crate) parts: Vec<Part>,
}

/// One stream in one window.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    pub(crate) stream: String,
    pub(crate) window: String,
    /// How long the window is.
    pub(crate) seconds: f64,
    /// Requests that were due in it; each has one of the five outcomes below.
    pub(crate) issued: u64,
    pub(crate) ok: u64,
    /// 53300.
    pub(crate) refused: u64,
    /// By SQLSTATE, or a word for what is none.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Given up here: no client connection became free in time.
    pub(crate) abandoned: u64,
    /// Without an answer when the run ended.
    pub(crate) unfinished: u64,
    /// Good answers that came within the window, a second.
    pub(crate) goodput: f64,
    /// Of good answers, from when they were due.
    pub(crate) latency_ms: Spread,
    /// Of the same, from when they were sent.
    pub(crate) service_ms: Spread,
    /// Of refusals, from when they were due.
    pub(crate) refusal_ms: Spread,
    /// The longest that any request took, however it ended.
    pub(crate) longest_ms: f64,
    /// Of logins that began in the window.
    pub(crate) login_ms: Spread,
    pub(crate) logins: u64,
    /// By SQLSTATE, or a word for what is none.
    pub(crate) logins_failed: BTreeMap<String, u64>,
    /// How late this program was to begin requests; it is within their latencies.
    pub(crate) lag_ms: Spread,
}

/// A distribution.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(histogram.max()),
        }
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan, found: &Found) -> Self {
        let parts = plan.streams.iter().zip(&found.tallies).flat_map(|(stream, tallies)| {
            let counted = plan.windows.iter().zip(tallies).filter(|(window, _)| window.counted);
            counted.map(|(window, tally)| part(&stream.name, window, tally))
        });
        Self { plan: plan.clone(), driver_cores: found.cores, parts: parts.collect() }
    }

    /// The part of a stream in a window; of the stream's first counted window without a name.
    ///
    /// # Panics
    /// When the plan has no such stream or window: whoever asks has written the plan.
    pub(crate) fn part(&self, stream: &str, window: Option<&str>) -> &Part {
        let found = self
            .parts
            .iter()
            .find(|part| part.stream == stream && window.is_none_or(|window| part.window == window));
        found.expect("the plan has this stream and window")
    }

    /// A table with a row for each part, and a warning when this program was too busy to be believed.
    pub(crate) fn table(&self) -> String {
        let mut text = "| stream | window | issued | goodput/s | p50 ms | p95 | p99 | p99.9 | max | longest any | refused \
             | failed | given up | login p50 | login p99 | lag p99 |\n"
            .to_owned();
        text.push_str(&format!("|{}\n", "---|".repeat(16)));
        for part in &self.parts {
            text.push_str(&part.row());
        }
        let cores = self.driver_cores;
        let _ = write!(text, "\ndriver: {cores:.2} cores");
        if self.is_driver_busy() {
            text.push_str(
                ": too many to measure a target and not the driver; drive slower or with more threads",
            );
        }
        text.push('\n');
        text
    }

    /// Did this program have hardly any time left?
    fn is_driver_busy(&self) -> bool {
        let threads = u32::try_from(self.plan.threads).unwrap_or(u32::MAX);
        self.driver_cores > 0.85 * f64::from(threads)
    }
}

impl Part {
    fn row(&self) -> String {
        let latency = &self.latency_ms;
        format!(
            "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {} | {} | {} | {:.2} | {:.2} | {:.2} |\n",
            self.stream,
            self.window,
            self.issued,
            self.goodput,
            latency.p50,
            latency.p95,
            latency.p99,
            latency.p999,
            latency.max,
            self.longest_ms,
            self.refused,
            counts(&self.failed),
            self.abandoned + self.unfinished,
            self.login_ms.p50,
            self.login_ms.p99,
            self.lag_ms.p99,
        )
    }

    /// All that failed, but for refusals.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum::<u64>() + self.abandoned + self.unfinished
    }
}

fn part(stream: &str, window: &Window, tally: &Tally) -> Part {
    let seconds = std::time::Duration::from_millis(window.ms).as_secs_f64();
    Part {
        stream: stream.to_owned(),
        window: window.name.clone(),
        seconds,
        issued: tally.issued,
        ok: tally.ok,
        refused: tally.refused,
        failed: tally.failed.clone(),
        abandoned: tally.abandoned,
        unfinished: tally.unfinished,
        goodput: number(tally.completed) / seconds,
        latency_ms: Spread::of(&tally.latency),
        service_ms: Spread::of(&tally.service),
        refusal_ms: Spread::of(&tally.refusal),
        longest_ms: if tally.any.is_empty() { 0.0 } else { ms(tally.any.max()) },
        login_ms: Spread::of(&tally.login),
        logins: tally.login.len(),
        logins_failed: tally.logins_failed.clone(),
        lag_ms: Spread::of(&tally.lag),
    }
}

/// Such as `57P01:3 timeout:1`; `0` for none.
pub(crate) fn counts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    counts.iter().map(|(code, count)| format!("{code}:{count}")).collect::<Vec<_>>().join(" ")
}

fn ms(micros: u64) -> f64 {
    number(micros) / 1e3
}

/// Exact up to 2^53, which no count or time here comes near.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds stay far below 2^53")]
pub(crate) const fn number(count: u64) -> f64 {
    count as f64
}

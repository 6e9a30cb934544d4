//! What became of the requests of one stream in one window.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// PostgreSQL's too_many_connections: what a pooler says when it refuses in order.
pub(crate) const REFUSED: &str = "53300";

/// Longer latencies count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Three significant figures.
const PRECISION: u8 = 3;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All answers came.
    Ok,
    /// With an error: its SQLSTATE, or a word for what is none.
    Failed(String),
    /// It was never sent: no client connection became free in time.
    Abandoned,
    /// It had no answer when the run ended.
    Unfinished,
}

/// Counts and latencies. Latencies run from the instant at which the request was due, not from when it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Due in this window; each of these ends in one of the five below.
    pub(crate) issued: u64,
    /// With all answers.
    pub(crate) ok: u64,
    /// Refused with 53300.
    pub(crate) refused: u64,
    /// Failed otherwise, by SQLSTATE or word.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Never sent.
    pub(crate) abandoned: u64,
    /// Without an answer at the end of the run.
    pub(crate) unfinished: u64,
    /// Whose answers came in this window, whenever they were due.
    pub(crate) completed: u64,
    /// Of those that were ok.
    pub(crate) latency: Histogram<u64>,
    /// Of the same, from when they were sent: what a closed loop would have shown.
    pub(crate) service: Histogram<u64>,
    /// Of those that were refused.
    pub(crate) refusal: Histogram<u64>,
    /// Of all, however they ended; for the unfinished and the abandoned what they had waited by then.
    pub(crate) any: Histogram<u64>,
    /// How long logins took that began in this window.
    pub(crate) login: Histogram<u64>,
    /// Logins that failed, by SQLSTATE or word.
    pub(crate) logins_failed: BTreeMap<String, u64>,
    /// How late this program itself was to begin requests.
    pub(crate) lag: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            issued: 0,
            ok: 0,
            refused: 0,
            failed: BTreeMap::new(),
            abandoned: 0,
            unfinished: 0,
            completed: 0,
            latency: histogram(),
            service: histogram(),
            refusal: histogram(),
            any: histogram(),
            login: histogram(),
            logins_failed: BTreeMap::new(),
            lag: histogram(),
        }
    }

    /// Takes a request in that was due in this window and ended `latency` after that, and `service` after it was sent.
    pub(crate) fn settle(&mut self, outcome: &Outcome, latency: Duration, service: Duration) {
        record(&mut self.any, latency);
        match outcome {
            Outcome::Ok => {
                self.ok += 1;
                record(&mut self.latency, latency);
                record(&mut self.service, service);
            }
            Outcome::Failed(code) if code == REFUSED => {
                self.refused += 1;
                record(&mut self.refusal, latency);
            }
            Outcome::Failed(code) => *self.failed.entry(code.clone()).or_default() += 1,
            Outcome::Abandoned => self.abandoned += 1,
            Outcome::Unfinished => self.unfinished += 1,
        }
    }

    pub(crate) fn login(&mut self, took: Duration, failed: Option<&str>) {
        match failed {
            None => record(&mut self.login, took),
            Some(code) => *self.logins_failed.entry(code.to_owned()).or_default() += 1,
        }
    }

    pub(crate) fn late(&mut self, lag: Duration) {
        record(&mut self.lag, lag);
    }

    /// Adds another thread's part.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.issued += other.issued;
        self.ok += other.ok;
        self.refused += other.refused;
        self.abandoned += other.abandoned;
        self.unfinished += other.unfinished;
        self.completed += other.completed;
        add_counts(&mut self.failed, &other.failed);
        add_counts(&mut self.logins_failed, &other.logins_failed);
        add(&mut self.latency, &other.latency);
        add(&mut self.service, &other.service);
        add(&mut self.refusal, &other.refusal);
        add(&mut self.any, &other.any);
        add(&mut self.login, &other.login);
        add(&mut self.lag, &other.lag);
    }
}

fn histogram() -> Histogram<u64> {
    let longest = micros(LONGEST);
    Histogram::new_with_bounds(1, longest, PRECISION).expect("the bounds and the precision are constants")
}

/// Recorded in microseconds.
fn record(histogram: &mut Histogram<u64>, length: Duration) {
    histogram.saturating_record(micros(length).max(1));
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other).expect("all histograms have the same bounds");
}

fn add_counts(sum: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (code, count) in other {
        *sum.entry(code.clone()).or_default() += count;
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_refusal_is_no_failure_and_every_end_is_counted_once() {
        let mut tally = Tally::new();
        let failed = |code: &str| Outcome::Failed(code.to_owned());
        for outcome in
            [Outcome::Ok, failed("53300"), failed("57014"), Outcome::Abandoned, Outcome::Unfinished]
        {
            tally.issued += 1;
            tally.settle(&outcome, MS, MS);
        }
        assert_eq!((tally.ok, tally.refused, tally.abandoned, tally.unfinished), (1, 1, 1, 1));
        assert_eq!(tally.failed, BTreeMap::from([("57014".to_owned(), 1)]));
        assert_eq!(tally.any.len(), tally.issued);
        assert_eq!((tally.latency.len(), tally.refusal.len()), (1, 1));
    }

    #[test]
    fn merging_adds() {
        let mut one = Tally::new();
        one.settle(&Outcome::Ok, MS, MS);
        one.settle(&Outcome::Failed("08006".to_owned()), MS, MS);
        let mut both = one.clone();
        both.merge(&one);
        assert_eq!((both.ok, both.failed["08006"], both.latency.len()), (2, 2, 2));
    }
}

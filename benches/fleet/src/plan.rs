//! What to do to a target: streams of requests over windows of time. All of it can be written as JSON.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The same seed gives the same arrivals, tenants and keys.
    pub(crate) seed: u64,
    /// Threads that drive. Each serves the tenants whose number leaves its own as remainder.
    pub(crate) threads: usize,
    /// One after another, without a gap. The first requests of a run say little: give them a window that is not counted.
    pub(crate) windows: Vec<Window>,
    /// How long answers are awaited after the last window, milliseconds.
    #[serde(default = "drain_ms")]
    pub(crate) drain_ms: u64,
    /// They run side by side.
    pub(crate) streams: Vec<Stream>,
}

const fn drain_ms() -> u64 {
    15_000
}

/// A time for which figures are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// What reports call it.
    pub(crate) name: String,
    /// How long it is, milliseconds.
    pub(crate) ms: u64,
    /// Whether it is reported; a warm-up is not.
    #[serde(default = "yes")]
    pub(crate) counted: bool,
}

impl Window {
    pub(crate) fn warm_up(length: Duration) -> Self {
        Self { counted: false, ..Self::counted("warm-up", length) }
    }

    pub(crate) fn counted(name: &str, length: Duration) -> Self {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Self { name: name.to_owned(), ms, counted: true }
    }
}

/// Requests of one kind to a range of tenants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    /// What reports call it.
    pub(crate) name: String,
    /// The number of its first tenant.
    pub(crate) first: u32,
    /// How many tenants it has.
    pub(crate) tenants: u32,
    /// When requests begin.
    pub(crate) arrivals: Arrivals,
    /// Whose they are.
    pub(crate) choice: Choice,
    /// What they ask.
    #[serde(default)]
    pub(crate) script: Script,
    /// In which form.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// The most client connections of one tenant, per thread.
    #[serde(default = "one")]
    pub(crate) connections: u32,
    /// Whether each request logs in anew, and its latency includes that.
    #[serde(default)]
    pub(crate) login_each: bool,
    /// Whether all client connections are opened before the first window.
    #[serde(default)]
    pub(crate) preconnect: bool,
    /// A request that found no free client connection for so long is given up, milliseconds.
    #[serde(default = "timeout_ms")]
    pub(crate) patience_ms: u64,
    /// A request that is not answered for so long has failed, and so has its connection, milliseconds.
    #[serde(default = "timeout_ms")]
    pub(crate) timeout_ms: u64,
    /// Rows in each tenant's table `accounts`.
    #[serde(default = "rows")]
    pub(crate) rows: u32,
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

const fn timeout_ms() -> u64 {
    30_000
}

const fn rows() -> u32 {
    crate::world::ROWS
}

impl Stream {
    /// Selects by key from tenants `first..first + tenants`, one connection each.
    pub(crate) fn selects(name: &str, first: u32, tenants: u32, arrivals: Arrivals, choice: Choice) -> Self {
        Self {
            name: name.to_owned(),
            first,
            tenants,
            arrivals,
            choice,
            script: Script::Select,
            mode: Mode::Simple,
            connections: 1,
            login_each: false,
            preconnect: false,
            patience_ms: timeout_ms(),
            timeout_ms: timeout_ms(),
            rows: rows(),
        }
    }
}

/// When requests begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// So many a second on average, as a Poisson process, whatever becomes of earlier ones.
    Open(f64),
    /// So many users, each of whom asks again once it has its answer.
    Closed(u32),
}

/// Which tenant is next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    /// Each user keeps to one tenant. Only for closed arrivals.
    Own,
    /// One after another, round and round.
    Turns,
    /// Any, all as likely.
    Uniform,
    /// The tenant of rank r is as likely as r to the power of minus this.
    Zipf(f64),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zipf = |exponent: &str| exponent.parse().ok().filter(|s: &f64| *s > 0.0 && s.is_finite());
        match text {
            "own" => Ok(Self::Own),
            "turns" => Ok(Self::Turns),
            "uniform" => Ok(Self::Uniform),
            "zipf" => Ok(Self::Zipf(1.0)),
            _ => text.strip_prefix("zipf:").and_then(zipf).map(Self::Zipf).ok_or_else(|| {
                format!("expected own, turns, uniform, zipf or zipf:EXPONENT, found \"{text}\"")
            }),
        }
    }
}

/// What one request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Script {
    /// One row by its key.
    #[default]
    Select,
    /// `begin`, a select, an update and `commit`: four round trips.
    Transaction,
    /// `pg_sleep` of so many milliseconds: a server connection is held, and no CPU is used.
    Sleep(u32),
    /// Nothing but the login.
    Login,
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "select" => Ok(Self::Select),
            "transaction" => Ok(Self::Transaction),
            "login" => Ok(Self::Login),
            _ => {
                text.strip_prefix("sleep:").and_then(|ms| ms.parse().ok()).map(Self::Sleep).ok_or_else(|| {
                    format!("expected select, transaction, login or sleep:MILLISECONDS, found \"{text}\"")
                })
            }
        }
    }
}

/// The form of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The simple protocol, values in the text.
    #[default]
    Simple,
    /// The extended protocol, parsed each time.
    Extended,
    /// The extended protocol, prepared once for each client connection.
    Prepared,
}

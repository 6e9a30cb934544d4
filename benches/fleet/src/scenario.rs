//! The published scenarios: each starts what it needs, drives it, and prints one table of ratios.
//!
//! Absolute figures are the machine's. Targets that are compared are driven in turns within each round, so that a slow
//! spell hits all of them, and medians are shown. A scenario asserts nothing but what must hold on any machine: that
//! no server was asked for more connections than its budget, and that every request was accounted for.

mod bench;
mod beside;
mod budget;
mod cold;
mod credentials;
mod faults;
mod flood;
mod hot;
mod overload;
mod revocations;
mod share;
mod soak;
mod table;

use crate::engine::RunError;
use crate::world::WorldError;
use std::path::PathBuf;
use std::time::Duration;

/// What to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    /// 200 tenants at once: the server itself, PgBouncer, the gateway
    Share,
    /// 2,000 tenants over a budget of 100 connections, beside 50 tenants that fit
    Budget,
    /// 10,000 tenants known, 1,000 active in turn, and what a cold one costs
    Cold,
    /// As much as it can take, twice that, ten times that
    Overload,
    /// One tenant with 500 clients beside 99 quiet ones
    Hot,
    /// One tenant at ten times its rate beside 99 quiet ones
    Flood,
    /// A halted, a restarted and a silent server, and the tenants of the others
    Faults,
    /// Memory for 10,000 users
    Credentials,
    /// Keys and tokens that are revoked, and how long two gateways still take them
    Revocations,
    /// Ten minutes of everything: memory and descriptors by thirds
    Soak,
}

/// How to play.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The tenantry program whose gateway is driven
    #[arg(long, default_value = "target/release/tenantry")]
    pub(crate) gateway: PathBuf,
    /// A PgBouncer to compare with; none if not given
    #[arg(long)]
    pub(crate) pgbouncer: Option<PathBuf>,
    /// Where PostgreSQL's programs are; found by itself if not given
    #[arg(long)]
    pub(crate) pg_bin: Option<PathBuf>,
    /// Keep servers and their databases here for the next time; a temporary directory if not given
    #[arg(long)]
    pub(crate) home: Option<PathBuf>,
    /// The length of each measured window, seconds [default: 3, and 30 with --long; soak: 30 and 600]
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// How often each target is driven [default: 1, and 3 with --long]
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// The published sizes; without it, a tenth of the tenants and some seconds
    #[arg(long)]
    pub(crate) long: bool,
    /// Threads of the driver
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The same seed drives the same requests
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write all figures to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    fn window(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.long { 30 } else { 3 }))
    }

    fn warm_up(&self) -> Duration {
        Duration::from_secs(if self.long { 5 } else { 1 })
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.long { 3 } else { 1 })
    }

    /// A published size, or a smaller one for a look.
    const fn size(&self, long: u32, short: u32) -> u32 {
        if self.long { long } else { short }
    }
}

/// Why a scenario came to no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// What it needs did not come about.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The load could not be driven.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A promise did not hold.
    #[error("{0}")]
    Broken(String),
    /// The figures cannot be written.
    #[error("{path}: {source}")]
    Json {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl From<launcher::PostgresError> for ScenarioError {
    fn from(error: launcher::PostgresError) -> Self {
        Self::World(error.into())
    }
}

/// Plays one.
///
/// # Errors
/// When it cannot be played, or a promise did not hold. Its table has been printed by then.
pub(crate) async fn play(name: Name, options: &Options) -> Result<(), ScenarioError> {
    let mut bench = bench::Bench::open(options).await?;
    let played = match name {
        Name::Share => share::play(&mut bench).await,
        Name::Budget => budget::play(&mut bench).await,
        Name::Cold => cold::play(&mut bench).await,
        Name::Overload => overload::play(&mut bench).await,
        Name::Hot => hot::play(&mut bench).await,
        Name::Flood => flood::play(&mut bench).await,
        Name::Faults => faults::play(&mut bench).await,
        Name::Credentials => credentials::play(&mut bench).await,
        Name::Revocations => revocations::play(&mut bench).await,
        Name::Soak => soak::play(&mut bench).await,
    };
    bench.write_json()?;
    played
}

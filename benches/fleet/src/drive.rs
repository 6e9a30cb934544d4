//! Drives a target of yours, whatever it is.

use crate::engine::{self, RunError};
use crate::plan::{Arrivals, Choice, Mode, Plan, Script, Stream, Window};
use crate::report::Report;
use crate::target::Target;
use crate::watch::{Seen, Watch};
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::NoTls;

/// What to drive, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Drive {
    /// A connection string for all tenants, with {n} for a tenant's number:
    /// "host=127.0.0.1 port=6432 user=u{n}.t{n} password=… dbname=t{n}"
    #[arg(long, value_name = "DSN", required_unless_present = "targets")]
    target: Option<String>,
    /// A file with a connection string a line instead
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    targets: Option<PathBuf>,
    /// A plan in JSON, as reports show it; it replaces all options below that shape the load
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How many tenants there are
    #[arg(long, default_value_t = 1)]
    tenants: u32,
    /// Open loop: so many requests a second, whatever becomes of them
    #[arg(long, required_unless_present_any = ["users", "plan"])]
    rate: Option<f64>,
    /// Closed loop: so many users, each of whom waits for its answer; for finding out what a target can do
    #[arg(long, conflicts_with = "rate")]
    users: Option<u32>,
    /// Which tenant is next: own, turns, uniform, zipf:EXPONENT [default: uniform; with --users: own]
    #[arg(long)]
    choice: Option<Choice>,
    /// select, transaction, login or sleep:MILLISECONDS
    #[arg(long, default_value = "select")]
    script: Script,
    /// The form of statements
    #[arg(long, value_enum, default_value_t = Mode::Simple)]
    mode: Mode,
    /// The most client connections of one tenant
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Log in anew for each request
    #[arg(long)]
    login_each: bool,
    /// Open all client connections before the warm-up
    #[arg(long)]
    preconnect: bool,
    /// Rows in each tenant's table "accounts"
    #[arg(long, default_value_t = crate::world::ROWS)]
    rows: u32,
    /// Seconds that are driven and not counted
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds that are counted
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Driving threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The same seed drives the same requests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A superuser's connection string of the server behind the target: its sessions are counted meanwhile
    #[arg(long, value_name = "DSN")]
    watch: Option<String>,
    /// The target's process: its memory, CPU and descriptors are looked at meanwhile
    #[arg(long)]
    pid: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Why nothing was driven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    /// It could not be.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The plan is none.
    #[error("the plan {path} is of no use: {reason}")]
    Plan {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server cannot be watched.
    #[error("the server cannot be watched: {0}")]
    Watch(#[from] tokio_postgres::Error),
}

impl Drive {
    /// Drives and prints.
    ///
    /// # Errors
    /// When it could not be driven. What fails at the target is in the figures.
    pub(crate) async fn run(self) -> Result<(), DriveError> {
        let target = match (&self.target, &self.targets) {
            (_, Some(path)) => Target::read(path).map_err(RunError::from)?,
            (template, None) => Target::Template(template.clone().unwrap_or_default()),
        };
        let plan = self.plan()?;
        let admin = match &self.watch {
            Some(dsn) => {
                let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
                tokio::spawn(connection);
                Some(client)
            }
            None => None,
        };
        let watch = Watch::start(admin, self.pid);
        let found = engine::start(&plan, &target)?.finish().await?;
        let seen = watch.stop().await;
        self.print(&Report::new(&plan, &found), &seen);
        Ok(())
    }

    fn plan(&self) -> Result<Plan, DriveError> {
        if let Some(path) = &self.plan {
            let unusable = |reason: String| DriveError::Plan { path: path.clone(), reason };
            let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
            return serde_json::from_str(&text).map_err(|error| unusable(error.to_string()));
        }
        let (arrivals, choice) = match (self.rate, self.users) {
            (Some(rate), _) => (Arrivals::Open(rate), Choice::Uniform),
            (None, users) => (Arrivals::Closed(users.unwrap_or(1)), Choice::Own),
        };
        let choice = self.choice.unwrap_or(choice);
        let mut stream = Stream::selects("all", 1, self.tenants, arrivals, choice);
        (stream.script, stream.mode) = (self.script, self.mode);
        (stream.connections, stream.rows) = (self.connections, self.rows);
        (stream.login_each, stream.preconnect) = (self.login_each, self.preconnect);
        let length = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let windows =
            vec![Window::warm_up(length(self.warm_up)), Window::counted("steady", length(self.seconds))];
        Ok(Plan { seed: self.seed, threads: self.threads, windows, drain_ms: 15_000, streams: vec![stream] })
    }

    fn print(&self, report: &Report, seen: &Seen) {
        if self.json {
            let all = serde_json::json!({ "report": report, "seen": seen });
            println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
            return;
        }
        print!("{}", report.table());
        if self.watch.is_some() {
            println!(
                "server: {} connections at most, {} of one database",
                seen.sessions_max(),
                seen.sessions_of_one_max()
            );
        }
        if self.pid.is_some() {
            let (cpu, rss, files) = (seen.cpu_seconds(), seen.rss_max(), seen.files_max());
            println!("target: {cpu:.2} s of CPU, {rss} KiB resident and {files} descriptors at most");
        }
    }
}

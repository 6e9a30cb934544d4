//! A look at the server and at processes while they are driven.

use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Clients' sessions, without ours: all of them, and those of the database that has most.
const SESSIONS: &str = "select coalesce(sum(n), 0)::int8, coalesce(max(n), 0)::int8 from (
    select count(*) as n from pg_stat_activity
    where backend_type = 'client backend' and usename <> current_user group by datid) as databases";

/// What was seen at one instant.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Look {
    /// Since watching began.
    pub(crate) seconds: f64,
    /// Sessions of clients on the server; none while it does not answer.
    pub(crate) sessions: Option<i64>,
    /// Sessions in the database that has most.
    pub(crate) sessions_of_one: Option<i64>,
    /// Of the watched process.
    pub(crate) process: Option<Process>,
}

/// What `/proc` says of a process.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Process {
    /// Resident memory.
    pub(crate) rss_kib: u64,
    /// User and system time since it began.
    pub(crate) cpu_seconds: f64,
    /// Open file descriptors.
    pub(crate) files: u64,
}

impl Process {
    /// None when it is gone, or not ours to look at.
    pub(crate) fn look(pid: u32) -> Option<Self> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let status = read("status")?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let stat = read("stat")?;
        // The name, which may hold anything, ends with the last parenthesis; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self {
            rss_kib: rss.split_whitespace().next()?.parse().ok()?,
            cpu_seconds: f64::from(ticks) / TICKS,
            files: u64::try_from(files).ok()?,
        })
    }
}

/// `USER_HZ` is 100 on every architecture that we know of.
const TICKS: f64 = 100.0;

/// Looks until it is told to stop.
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    looking: JoinHandle<Vec<Look>>,
    begun: Instant,
}

impl Watch {
    /// Watches the server of this session, and the process with this id.
    pub(crate) fn start(admin: Option<tokio_postgres::Client>, pid: Option<u32>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let begun = Instant::now();
        Self { stop, looking: tokio::spawn(look(admin, pid, begun, stopped)), begun }
    }

    /// Since it began to look.
    pub(crate) fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// What was seen.
    pub(crate) async fn stop(self) -> Seen {
        let _ = self.stop.send(());
        Seen { looks: self.looking.await.unwrap_or_default() }
    }
}

async fn look(
    admin: Option<tokio_postgres::Client>,
    pid: Option<u32>,
    begun: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> Vec<Look> {
    let mut looks = Vec::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = &mut stopped => return looks,
            _ = ticks.tick() => {}
        }
        let seconds = begun.elapsed().as_secs_f64();
        let sessions = match &admin {
            Some(admin) => tokio::select! {
                _ = &mut stopped => return looks,
                row = admin.query_one(SESSIONS, &[]) => row.ok(),
            },
            None => None,
        };
        looks.push(Look {
            seconds,
            sessions: sessions.as_ref().map(|row| row.get(0)),
            sessions_of_one: sessions.as_ref().map(|row| row.get(1)),
            process: pid.and_then(Process::look),
        });
    }
}

/// All looks.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Seen {
    pub(crate) looks: Vec<Look>,
}

impl Seen {
    /// The most sessions of clients at one instant. Sampled: a shorter peak is only seen by the server's own limit.
    pub(crate) fn sessions_max(&self) -> i64 {
        self.looks.iter().filter_map(|look| look.sessions).max().unwrap_or(0)
    }

    /// The most in one database.
    pub(crate) fn sessions_of_one_max(&self) -> i64 {
        self.looks.iter().filter_map(|look| look.sessions_of_one).max().unwrap_or(0)
    }

    /// The process's CPU over all of it, seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let mut known = self.looks.iter().filter_map(|look| look.process);
        let first = known.next();
        let last = known.next_back().or(first);
        last.zip(first).map_or(0.0, |(last, first)| last.cpu_seconds - first.cpu_seconds)
    }

    /// The process's largest resident memory, KiB.
    pub(crate) fn rss_max(&self) -> u64 {
        self.looks.iter().filter_map(|look| look.process).map(|process| process.rss_kib).max().unwrap_or(0)
    }

    /// The most descriptors that it had open.
    pub(crate) fn files_max(&self) -> u64 {
        self.looks.iter().filter_map(|look| look.process).map(|process| process.files).max().unwrap_or(0)
    }

    /// What was seen between two instants, in seconds since watching began.
    pub(crate) fn between(&self, from: f64, to: f64) -> Self {
        let looks = self.looks.iter().filter(|look| (from..to).contains(&look.seconds));
        Self { looks: looks.copied().collect() }
    }
}

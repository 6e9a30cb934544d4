//! A PostgreSQL server with tenants on it, and what can happen to it.

use super::{WorldError, databases};
use launcher::{Binaries, Server, ServerOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ops::Range;
use std::path::Path;
use tenancy::Secret;

/// For administrators alone. Others are refused as soon as fewer than these are left.
const RESERVED: u32 = 10;

/// The session that watches takes one that others could have: with it, clients have exactly theirs.
const WATCHING: u32 = 1;

/// What a server is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The name of its directory.
    pub(crate) name: String,
    /// Its tenants that have a database.
    pub(crate) tenants: Range<u32>,
    /// Connections that it lets clients have. One more and it refuses, and its log says so.
    pub(crate) connections: u32,
}

/// A running one.
pub(crate) struct Cluster {
    pub(crate) spec: Spec,
    pub(crate) server: Server,
    /// How long its log was when it had come up with all its tenants, bytes.
    log_from: usize,
}

impl Cluster {
    /// Starts it in `home` and makes what is not there yet.
    pub(crate) async fn start(spec: Spec, binaries: &Binaries, home: &Path) -> Result<Self, WorldError> {
        let options = ServerOptions::throwaway(binaries.clone(), &home.join(&spec.name))
            .password(Secret::new(super::PASSWORD.to_owned()))
            .setting("max_connections", &(spec.connections + WATCHING + RESERVED).to_string())
            .setting("superuser_reserved_connections", &RESERVED.to_string())
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "4GB")
            .setting("autovacuum", "off")
            .setting("max_locks_per_transaction", "256");
        let server = Server::start(options).await?;
        databases::make(server.dsn("postgres").expose(), spec.tenants.clone()).await?;
        let log_from = std::fs::read(server.log_path()).map_or(0, |log| log.len());
        Ok(Self { spec, server, log_from })
    }

    /// A session that looks at it.
    pub(crate) async fn admin(&self) -> Result<tokio_postgres::Client, WorldError> {
        Ok(self.server.connect("postgres").await?)
    }

    /// How often it has refused a client because it had no connection left: what a pooler with a budget must never
    /// bring about. Exact, where counting sessions is a sample.
    pub(crate) fn refusals(&self) -> usize {
        let log = std::fs::read(self.server.log_path()).unwrap_or_default();
        let said = ["sorry, too many clients already", "remaining connection slots are reserved"];
        let log = String::from_utf8_lossy(log.get(self.log_from..).unwrap_or_default()).into_owned();
        log.lines().filter(|line| said.iter().any(|said| line.contains(said))).count()
    }

    /// Halts all its processes where they are: sockets stay open and nobody answers. Until [`Self::resume`].
    pub(crate) fn halt(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The postmaster first, so that it starts no more of them meanwhile.
    fn signal(&self, signal: Signal) {
        let postmaster = self.server.pid();
        send(postmaster, signal);
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).for_each(|pid| send(pid, signal));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A halted server could not stop.
        self.resume();
    }
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // One that has ended meanwhile needs no signal.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

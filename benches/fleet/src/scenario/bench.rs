//! What all scenarios use: a place for servers, a driver with eyes on the server, and the figures of all runs.

use super::{Options, ScenarioError};
use crate::engine;
use crate::plan::{Plan, Stream, Window};
use crate::report::Report;
use crate::target::Target;
use crate::watch::{Seen, Watch};
use crate::world::catalog::{CatalogServer, Place};
use crate::world::control_plane::ControlPlane;
use crate::world::gateway::Gateway;
use crate::world::pgbouncer::{PgBouncer, Settings};
use crate::world::server::{Cluster, Spec};
use crate::world::{WorldError, template};
use launcher::{Account, Binaries, Scratch};
use serde_json::json;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tenancy::Limits;

/// Where a scenario is played.
pub(super) struct Bench {
    pub(super) options: Options,
    binaries: Binaries,
    home: PathBuf,
    /// Goes when this goes.
    _scratch: Option<Scratch>,
    runs: Vec<serde_json::Value>,
}

/// Something to drive, and the process that answers for it.
pub(super) struct Driven {
    pub(super) name: &'static str,
    pub(super) target: Target,
    pub(super) pid: Option<u32>,
}

/// A run, with what was seen of the server and the process meanwhile.
pub(super) struct Run {
    pub(super) report: Report,
    pub(super) seen: Seen,
    /// How often the server refused a client meanwhile, because it had no connection left.
    pub(super) refused_by_server: usize,
    /// Between the beginning of the watch and that of the first window, seconds.
    pub(super) began: f64,
}

impl Run {
    /// What was seen within a window.
    pub(super) fn seen_in(&self, window: &str) -> Seen {
        let windows = &self.report.plan.windows;
        let seconds = |window: &Window| std::time::Duration::from_millis(window.ms).as_secs_f64();
        let before = windows.iter().take_while(|known| known.name != window);
        let from = self.began + before.map(seconds).sum::<f64>();
        let length = windows.iter().find(|known| known.name == window).map_or(0.0, seconds);
        self.seen.between(from, from + length)
    }
}

/// A tenant's limits, where a scenario has no wishes.
pub(super) const LIMITS: Limits = Limits {
    pool_size: 4,
    client_limit: 2_000,
    queue_limit: 1_000,
    checkout_timeout_ms: 10_000,
    ..Limits::STANDARD
};

impl Bench {
    pub(super) async fn open(options: &Options) -> Result<Self, ScenarioError> {
        let binaries = Binaries::find(options.pg_bin.as_deref(), None).await?;
        let (home, scratch) = match &options.home {
            Some(home) => (home.clone(), None),
            None => {
                let scratch = Scratch::create()?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        std::fs::create_dir_all(&home).map_err(|source| WorldError::File { path: home.clone(), source })?;
        launcher::reachable(&home, &Account::detect()?)?;
        Ok(Self { options: options.clone(), binaries, home, _scratch: scratch, runs: Vec::new() })
    }

    /// Starts a server with these tenants that lets clients have so many connections.
    pub(super) async fn cluster(
        &self,
        name: &str,
        tenants: Range<u32>,
        connections: u32,
    ) -> Result<Cluster, ScenarioError> {
        eprintln!("starting server {name} with {} tenants", tenants.len());
        let spec = Spec { name: name.to_owned(), tenants, connections };
        Ok(Cluster::start(spec, &self.binaries, &self.home).await?)
    }

    /// Starts a catalog that knows these tenants of a server within a budget.
    pub(super) async fn catalog(
        &self,
        limits: Limits,
        cluster: &Cluster,
        known: Range<u32>,
        budget: u32,
    ) -> Result<CatalogServer, ScenarioError> {
        self.catalog_with_users(limits, cluster, known, budget, 1).await
    }

    /// The same, with so many users for each tenant.
    pub(super) async fn catalog_with_users(
        &self,
        limits: Limits,
        cluster: &Cluster,
        known: Range<u32>,
        budget: u32,
        users_each: u32,
    ) -> Result<CatalogServer, ScenarioError> {
        eprintln!("registering {} tenants", known.len());
        let catalog = CatalogServer::start(&self.options.gateway, &self.binaries, &self.home, limits).await?;
        self.register(&catalog, cluster, known, budget, users_each).await?;
        Ok(catalog)
    }

    /// Makes one more server known to it.
    pub(super) async fn register(
        &self,
        catalog: &CatalogServer,
        cluster: &Cluster,
        known: Range<u32>,
        budget: u32,
        users_each: u32,
    ) -> Result<(), ScenarioError> {
        let admin = cluster.admin().await?;
        let place = Place::of(&cluster.spec.name, cluster.server.port(), budget, &admin).await?;
        Ok(catalog.registry.register(&place, known, users_each, Some(&admin)).await?)
    }

    /// Starts the gateway.
    pub(super) async fn gateway(&self, catalog: &CatalogServer) -> Result<Gateway, ScenarioError> {
        self.gateway_named("fleet", catalog).await
    }

    /// Starts one more, under a name of its own.
    pub(super) async fn gateway_named(
        &self,
        name: &str,
        catalog: &CatalogServer,
    ) -> Result<Gateway, ScenarioError> {
        Ok(Gateway::start(&self.options.gateway, &self.home, name, catalog).await?)
    }

    /// Starts a control plane, which tells clients of this gateway.
    pub(super) async fn control_plane(
        &self,
        catalog: &CatalogServer,
        gateway: &Gateway,
    ) -> Result<ControlPlane, ScenarioError> {
        Ok(ControlPlane::start(&self.options.gateway, &self.home, catalog, gateway).await?)
    }

    /// Starts a PgBouncer, if one was given.
    pub(super) async fn pgbouncer(&self, settings: Settings) -> Result<Option<PgBouncer>, ScenarioError> {
        match &self.options.pgbouncer {
            Some(program) => Ok(Some(PgBouncer::start(program, self.home(), settings).await?)),
            None => Ok(None),
        }
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// A warm-up and one window named `steady`.
    pub(super) fn steady(&self, streams: Vec<Stream>) -> Plan {
        let windows =
            vec![Window::warm_up(self.options.warm_up()), Window::counted("steady", self.options.window())];
        self.plan(windows, streams)
    }

    pub(super) fn plan(&self, windows: Vec<Window>, streams: Vec<Stream>) -> Plan {
        Plan { seed: self.options.seed, threads: self.options.threads, windows, drain_ms: 15_000, streams }
    }

    /// Drives a target and watches a server and the target's process.
    pub(super) async fn drive(
        &mut self,
        what: &str,
        plan: &Plan,
        driven: &Driven,
        server: Option<&Cluster>,
    ) -> Result<Run, ScenarioError> {
        self.drive_while(what, plan, driven, server, async |_| Ok(())).await
    }

    /// The same, and does something meanwhile.
    pub(super) async fn drive_while(
        &mut self,
        what: &str,
        plan: &Plan,
        driven: &Driven,
        server: Option<&Cluster>,
        meanwhile: impl AsyncFnOnce(&mut engine::Running) -> Result<(), ScenarioError>,
    ) -> Result<Run, ScenarioError> {
        eprintln!("driving {}: {what}", driven.name);
        let admin = match server {
            Some(server) => Some(server.admin().await?),
            None => None,
        };
        let refused = server.map_or(0, Cluster::refusals);
        let watch = Watch::start(admin, driven.pid);
        let mut running = engine::start(plan, &driven.target)?;
        running.reached(0).await;
        let began = watch.elapsed();
        meanwhile(&mut running).await?;
        let report = Report::new(plan, &running.finish().await?);
        let seen = watch.stop().await;
        let refused_by_server = server.map_or(0, Cluster::refusals) - refused;
        eprint!("{}", report.table());
        self.runs.push(json!({
            "what": what, "target": driven.name, "report": report,
            "sessions_max": seen.sessions_max(), "sessions_of_one_max": seen.sessions_of_one_max(),
            "cpu_seconds": seen.cpu_seconds(), "rss_max_kib": seen.rss_max(), "files_max": seen.files_max(),
            "refused_by_server": refused_by_server,
        }));
        Ok(Run { report, seen, refused_by_server, began })
    }

    /// Keeps figures that are no run's.
    pub(super) fn record(&mut self, figures: serde_json::Value) {
        self.runs.push(figures);
    }

    pub(super) fn write_json(&self) -> Result<(), ScenarioError> {
        let Some(path) = &self.options.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(&self.runs).unwrap_or_default();
        std::fs::write(path, text).map_err(|source| ScenarioError::Json { path: path.clone(), source })
    }
}

/// A server without anything before it.
pub(super) fn direct(cluster: &Cluster) -> Driven {
    Driven { name: "direct", target: template(cluster.server.port()), pid: None }
}

pub(super) fn gateway(gateway: &Gateway) -> Driven {
    Driven { name: "gateway", target: template(gateway.port), pid: gateway.process.pid() }
}

pub(super) fn bouncer(bouncer: &PgBouncer) -> Driven {
    Driven { name: "PgBouncer", target: template(bouncer.port), pid: bouncer.process.pid() }
}

/// Fails when the server was asked for more connections than its clients may have.
pub(super) fn within_budget(run: &Run, budget: u32) -> Result<(), ScenarioError> {
    let (seen, refused) = (run.seen.sessions_max(), run.refused_by_server);
    if seen > i64::from(budget) || refused > 0 {
        return Err(ScenarioError::Broken(format!(
            "the server saw {seen} connections within a budget of {budget}, and refused {refused}"
        )));
    }
    Ok(())
}

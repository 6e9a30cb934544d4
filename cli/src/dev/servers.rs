//! The stack's PostgreSQL servers.

use super::home::Home;
use super::{ClusterSpec, DevError, StackOptions};
use launcher::{Account, Binaries, Server, ServerOptions, data_dir_version, random_password};
use tenancy::Secret;
use tokio::task::JoinSet;

/// The catalog's server and its database there.
pub(super) const CATALOG: &str = "catalog";
const CATALOG_DATABASE: &str = "tenantry";

/// Beyond the gateway's budget: the control plane, tests that look for themselves, and the server's own reserve.
const CONNECTIONS_BESIDE_BUDGET: u32 = 50;

/// The catalog is used by the control plane, the gateway and nobody else.
const CATALOG_CONNECTIONS: u32 = 100;

/// A running server and the name that it has in the stack.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) server: Server,
}

/// The catalog's server first, then the clusters' in their order.
pub(super) struct Servers {
    pub(super) catalog: Server,
    pub(super) clusters: Vec<Named>,
}

impl Servers {
    /// The first server that has ended by itself.
    pub(super) fn ended(&mut self) -> Option<DevError> {
        let catalog = (CATALOG, &mut self.catalog);
        let clusters = self.clusters.iter_mut().map(|named| (named.name.as_str(), &mut named.server));
        std::iter::once(catalog).chain(clusters).find_map(|(name, server)| {
            let ended = server.has_exited();
            ended.then(|| DevError::ServerEnded { name: name.to_owned(), log: server.log_path().to_owned() })
        })
    }

    /// Stops all servers at once.
    pub(super) async fn stop(self) -> Result<(), DevError> {
        let mut stopping = JoinSet::new();
        let catalog = Named { name: CATALOG.to_owned(), server: self.catalog };
        for Named { name, server } in std::iter::once(catalog).chain(self.clusters) {
            stopping.spawn(
                async move { server.stop().await.map_err(|source| DevError::Server { name, source }) },
            );
        }
        stopping.join_all().await.into_iter().collect()
    }
}

/// Starts all servers at once.
pub(super) async fn start(options: &StackOptions, home: &Home) -> Result<Servers, DevError> {
    let made_by = data_dir_version(&home.server_dir(CATALOG))?;
    let binaries = Binaries::find(options.pg_bin.as_deref(), made_by).await?;
    let mut starting = JoinSet::new();
    let wanted = std::iter::once((CATALOG.to_owned(), CATALOG_CONNECTIONS))
        .chain(options.clusters.iter().map(|spec| (spec.name.clone(), connections(spec))));
    for (position, (name, connections)) in wanted.enumerate() {
        let server = server_options(options, home, &binaries, &name, connections)?;
        starting.spawn(async move {
            let server = Server::start(server).await;
            (
                position,
                server.map(|server| Named { name: name.clone(), server }).map_err(|source| (name, source)),
            )
        });
    }
    let mut started = Vec::with_capacity(options.clusters.len() + 1);
    // All are awaited even if one fails, so that none is left half started.
    for (position, outcome) in starting.join_all().await {
        started.push((position, outcome.map_err(|(name, source)| DevError::Server { name, source })));
    }
    started.sort_by_key(|(position, _)| *position);
    let mut clusters = Vec::with_capacity(started.len());
    for (_, outcome) in started {
        let named = outcome?;
        home.note(&named.name, named.server.port(), named.server.password())?;
        clusters.push(named);
    }
    let catalog = clusters.remove(0).server;
    Ok(Servers { catalog, clusters })
}

const fn connections(spec: &ClusterSpec) -> u32 {
    spec.connection_budget + CONNECTIONS_BESIDE_BUDGET
}

fn server_options(
    options: &StackOptions,
    home: &Home,
    binaries: &Binaries,
    name: &str,
    connections: u32,
) -> Result<ServerOptions, DevError> {
    let dir = home.server_dir(name);
    let server = if options.durable {
        ServerOptions::durable(binaries.clone(), &dir)
    } else {
        ServerOptions::throwaway(binaries.clone(), &dir)
    };
    let server = server.setting("max_connections", &connections.to_string());
    let (port, password) = match home.recall(name)? {
        Some(known) => known,
        None => {
            let password = random_password()?;
            // Before the server is made with it: whoever is killed in between finds the way in again.
            home.note(name, 0, &password)?;
            (0, password)
        }
    };
    Ok(server.preferred_port(port).password(password))
}

/// Makes the catalog's database if it is not there, and brings its schema to this release's version.
pub(super) async fn prepare_catalog(catalog: &Server) -> Result<Secret, DevError> {
    let failed = |error: tokio_postgres::Error| DevError::Catalog(error.to_string());
    let client = catalog.connect("postgres").await?;
    let query = "select from pg_database where datname = $1";
    if client.query_opt(query, &[&CATALOG_DATABASE]).await.map_err(failed)?.is_none() {
        let create = format!("create database {CATALOG_DATABASE}");
        client.batch_execute(&create).await.map_err(failed)?;
    }
    let dsn = catalog.dsn(CATALOG_DATABASE);
    catalog_schema::migrate(&dsn).await.map_err(|error| DevError::Catalog(error.to_string()))?;
    Ok(dsn)
}

/// The user that servers run as here.
pub(super) fn account() -> Result<Account, DevError> {
    Ok(Account::detect()?)
}

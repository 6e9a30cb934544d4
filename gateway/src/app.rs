//! Building the gateway, running it, and stopping it in order.

mod stop;

use crate::admit::addresses;
use crate::admit::gate::Gate;
use crate::authenticate::MockSeed;
use crate::authenticate::password::PasswordChecks;
use crate::authenticate::token::TokenChecks;
use crate::cancel::Cancels;
use crate::console::{Console, ConsoleError};
use crate::listen::bind::{self, Sharing};
use crate::listen::door::{Orders, Visitors};
use crate::listen::group::Place;
use crate::metrics::{GatewayMetrics, GatewayUsage};
use crate::pool::{Registry, expiry};
use crate::resolve::follow::{Attendance, Follower};
use crate::resolve::{Installation, Routes};
use crate::shared::Shared;
use crate::tls::{self, Acceptor, ServerTlsSettings, TlsError};
use crate::workers::Workers;
use crate::{admin, listen};
use catalog_schema::{Catalog, CatalogError, GatewayHeartbeat, MasterKey, SealError};
use config::{GatewayConfig, GatewayListen};
use identity::Jwks;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use stop::Stopping;
use tenancy::{GatewayId, Revision};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long servers get to let go of the connections that we close at the end, so that what was cut off is
/// cancelled there too.
const LET_GO_MAX: Duration = Duration::from_secs(2);

/// Why a gateway could not be built.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {address} for {what}")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The threads that serve connections could not be started.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// The certificates are unusable.
    #[error("cannot use the certificates")]
    Tls(#[from] TlsError),
    /// The catalog's settings are unusable. A catalog that is merely away is no error.
    #[error("cannot use the catalog")]
    Catalog(#[from] CatalogError),
    /// The master key cannot be read.
    #[error("cannot read the master key: {0}")]
    MasterKeyUnreadable(#[from] config::SecretUnreadable),
    /// The master key is none.
    #[error("cannot use the master key")]
    MasterKey(#[from] SealError),
    /// The console's users cannot be used.
    #[error("cannot use the console's users")]
    Console(#[from] ConsoleError),
}

/// Where the gateway listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The PostgreSQL protocol.
    pub pg: SocketAddr,
    /// HTTP for applications.
    pub http: SocketAddr,
    /// Metrics and probes, not for applications.
    pub admin: SocketAddr,
}

/// A gateway that listens and is about to run.
pub struct Gateway {
    shared: Arc<Shared>,
    follower: Follower,
    metrics: Arc<GatewayMetrics>,
    pg: TcpListener,
    http: TcpListener,
    admin: TcpListener,
    /// Where other gateways reach this one and no other, if its port is shared.
    peers: Option<TcpListener>,
    addresses: Addresses,
}

impl Gateway {
    /// Binds the listeners and prepares everything; nothing is accepted before [`Gateway::run`].
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn build(config: GatewayConfig) -> Result<Self, GatewayError> {
        let key = MasterKey::from_base64(&config.master_key.read()?)?;
        let mock_seed = MockSeed::new(&key);
        let catalog = Catalog::connect(&config.catalog.dsn, key, config.catalog.pool_size).await?;
        let workers =
            Workers::start(config.worker_threads.unwrap_or_else(cores)).map_err(GatewayError::Threads)?;
        let sharing = Sharing::from(config.listen.reuse_port);
        let (pg, http) = {
            // Their events go to the worker that accepts.
            let _on_worker = workers.accepting().enter();
            (
                listen_on("PostgreSQL clients", config.listen.pg, sharing)?,
                listen_on("HTTP clients", config.listen.http, sharing)?,
            )
        };
        let admin = listen_on("metrics and probes", config.listen.admin, Sharing::Alone)?;
        let peers = peers(&config.listen)?;
        let address = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let addresses = Addresses {
            pg: address(&pg, config.listen.pg),
            http: address(&http, config.listen.http),
            admin: address(&admin, config.listen.admin),
        };
        let tls = config.tls.is_on().then(|| Acceptor::new(config.tls.clone())).transpose()?.map(Arc::new);
        let roots = tls::roots::of_the_system();
        let jwks = Jwks::new(config.identity.clone(), roots.clone());
        let installation = Arc::new(Installation::default());
        let server_tls = ServerTlsSettings::new(roots);
        let drain = CancellationToken::new();
        let shared = Arc::new(Shared {
            workers,
            routes: Arc::new(Routes::new(catalog.clone(), config.routes.clone(), drain.clone())),
            tls,
            pools: Arc::new(
                Registry::new(config.pool.clone(), server_tls).keeping(config.prepared.clone()).sharing(),
            ),
            cancels: Arc::new(Cancels::new(&config.cancel)),
            clients: Arc::default(),
            gate: Gate::default(),
            console: Console::new(&config.console)?,
            addresses: addresses::Addresses::new(&config.limits, &config.listen.trusted_proxies),
            logins_under_way: AtomicU32::new(0),
            usage: GatewayUsage::default(),
            progress: Arc::default(),
            mock_seed,
            passwords: PasswordChecks::default(),
            uses: Arc::default(),
            installation: Arc::clone(&installation),
            tokens: TokenChecks::new(Arc::clone(&installation), jwks),
            client_places: Arc::new(Semaphore::new(config.limits.client_limit as usize)),
            leaving: CancellationToken::new(),
            drain,
            cut_off: CancellationToken::new(),
            config,
        });
        let follower = Follower {
            catalog,
            routes: Arc::clone(&shared.routes),
            installation,
            clients: Arc::clone(&shared.clients),
            uses: Arc::clone(&shared.uses),
            pools: Arc::clone(&shared.pools),
            progress: Arc::clone(&shared.progress),
            peers: Arc::clone(shared.cancels.peers()),
            settings: shared.config.routes.clone(),
            heartbeat: GatewayHeartbeat {
                id: GatewayId::generate(),
                name: shared.config.name.clone(),
                region: shared.config.region.clone(),
                address: advertised(&shared.config, addresses.pg, peers.as_ref()),
                applied_revision: Revision::default(),
            },
            attendance: Attendance::default(),
        };
        let metrics = Arc::new(GatewayMetrics::new(Arc::clone(&shared)));
        Ok(Self { shared, follower, metrics, pg, http, admin, peers, addresses })
    }

    /// Where it listens; ports asked for as 0 are known here.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown` fires, then stops in order (`stop`). The admin listener answers to the end.
    ///
    /// # Errors
    /// None as yet; a listener that fails is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), GatewayError> {
        let Self { shared, follower, metrics, pg, http, admin, peers, addresses } = self;
        tracing::info!(pg = %addresses.pg, http = %addresses.http, admin = %addresses.admin, "the gateway serves");
        let stop = CancellationToken::new();
        let background = TaskTracker::new();
        background.spawn(follower.run(stop.clone()));
        if let Some(acceptor) = &shared.tls {
            background.spawn(tls::reload::run(Arc::clone(acceptor), stop.clone()));
        }
        background.spawn(expiry::run(Arc::clone(&shared.pools), stop.clone()));
        background.spawn(admin::run(admin, Arc::clone(&shared), metrics, stop.clone()));
        if let Some(peers) = peers {
            background.spawn(listen::peers::run(peers, Arc::clone(&shared), stop.clone()));
        }
        let stopping = Stopping {
            places: places(&shared.config.listen, &[(&pg, addresses.pg), (&http, addresses.http)]),
            shared: &shared,
            orders: Orders::default(),
            listeners: TaskTracker::new(),
            visitors: Visitors::default(),
            turn: tokio::sync::Mutex::default(),
        };
        let (orders, visitors) = (&stopping.orders, &stopping.visitors);
        let pg = listen::pgwire::run(pg, Arc::clone(&shared), orders.clone(), visitors.clone());
        let http = listen::http::run(http, Arc::clone(&shared), orders.clone(), visitors.clone());
        stopping.listeners.spawn_on(pg, shared.workers.accepting());
        stopping.listeners.spawn_on(http, shared.workers.accepting());

        shutdown.cancelled().await;
        stopping.run().await;
        stop.cancel();
        background.close();
        background.wait().await;
        if tokio::time::timeout(LET_GO_MAX, shared.pools.all_closed()).await.is_err() {
            tracing::warn!("not every server has let go of its connections");
        }
        tracing::info!("the gateway has stopped");
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where other gateways reach this one. The port that it may share with others is of no use for that.
fn advertised(config: &GatewayConfig, listens_on: SocketAddr, peers: Option<&TcpListener>) -> String {
    if config.cancel.advertise.is_none() && listens_on.ip().is_unspecified() {
        tracing::warn!(
            "other gateways cannot pass cancel requests on to this one: cancel.advertise is not set, and listen.pg is \
             no address to reach it at"
        );
    }
    let usual = config.cancel.advertise.clone().unwrap_or_else(|| listens_on.to_string());
    match (peers.and_then(|peers| peers.local_addr().ok()), usual.rsplit_once(':')) {
        (Some(own), Some((host, _shared_port))) => format!("{host}:{}", own.port()),
        _ => usual,
    }
}

/// The listener for other gateways, on any free port.
fn peers(listen: &GatewayListen) -> Result<Option<TcpListener>, GatewayError> {
    let own = SocketAddr::new(listen.pg.ip(), 0);
    listen.reuse_port.then(|| listen_on("other gateways", own, Sharing::Alone)).transpose()
}

/// What another gateway has to listen on to take over.
fn places(listen: &GatewayListen, listeners: &[(&TcpListener, SocketAddr)]) -> Vec<Place> {
    let of = |(listener, address): &(&TcpListener, SocketAddr)| Place::of(*listener, *address);
    let places = listeners.iter().map(of).collect::<io::Result<Vec<_>>>();
    places.ok().filter(|_| listen.reuse_port).unwrap_or_default()
}

fn listen_on(what: &'static str, address: SocketAddr, sharing: Sharing) -> Result<TcpListener, GatewayError> {
    bind::listen_on(address, sharing).map_err(|source| GatewayError::Listen { what, address, source })
}

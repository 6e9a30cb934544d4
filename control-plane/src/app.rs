//! Building and running are two steps, so that a test can build without a process.

use crate::api::{self, Gate, OperatorToken, Tls, TlsError};
use crate::context::{ApiState, EngineState};
use crate::domains::Proofs;
use crate::housekeeping;
use crate::metrics::Metrics;
use crate::operations::{Progress, Worker, failpoint};
use crate::people::People;
use crate::postgres::Clusters;
use crate::reconcile::{access_roles, domains, role_keys, role_settings, signing_keys, storage};
use crate::streams::Streams;
use catalog_schema::{Catalog, CatalogError, MasterKey, SealError};
use config::{ControlPlaneConfig, DomainsConfig, SecretUnreadable, StorageConfig};
use identity::Jwks;
use net::tls::roots;
use std::net::SocketAddr;
use std::sync::Arc;
use tenancy::AddressRange;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the control plane could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The configured address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The master key is not where the configuration says.
    #[error("the master key cannot be read")]
    MasterKeyUnreadable(#[from] SecretUnreadable),
    /// What is there is no master key.
    #[error("the master key is not usable")]
    MasterKey(#[from] SealError),
    /// The API's certificate is of no use.
    #[error("the API's certificate cannot be used")]
    Tls(#[from] TlsError),
    /// The catalog's DSN is no DSN.
    #[error("the catalog's connection string is not usable")]
    Catalog(#[from] CatalogError),
    /// The system's name servers cannot be found out.
    #[error("the name servers to ask for domains' records are not known")]
    NameServers(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The metrics contradict each other.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// A part of the control plane ended that never should.
    #[error("a task of the control plane ended unexpectedly")]
    TaskEnded(#[from] tokio::task::JoinError),
}

/// A control plane that listens and is ready to run.
pub struct ControlPlane {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    address: SocketAddr,
    gate: Gate,
    api: ApiState,
    engine: EngineState,
    worker: Worker,
    domains: DomainsConfig,
    storage: StorageConfig,
    trusted_proxies: Vec<AddressRange>,
}

impl ControlPlane {
    /// Binds the listener and prepares the catalog's connections. The catalog itself may still be down.
    ///
    /// # Errors
    /// The address is taken, or a secret that the configuration points to cannot be read.
    pub async fn build(config: ControlPlaneConfig) -> Result<Self, ControlPlaneError> {
        Self::build_with_failpoints(config, Arc::new(failpoint::NoFailpoints)).await
    }

    /// The same, with places where operations fail, repeat or die. For tests of crash recovery.
    ///
    /// # Errors
    /// As [`ControlPlane::build`].
    pub async fn build_with_failpoints(
        config: ControlPlaneConfig,
        failpoints: Arc<dyn failpoint::Failpoints>,
    ) -> Result<Self, ControlPlaneError> {
        let keep_old_slug = config.keep_old_slug();
        let key = MasterKey::from_base64(&config.master_key.read()?)?;
        let catalog = Catalog::connect(&config.catalog.dsn, key, config.catalog.pool_size).await?;
        let metrics = Arc::new(Metrics::new()?);
        let tls = config.tls.map(Tls::new).transpose()?.map(Arc::new);
        let failed = |source| ControlPlaneError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let progress = Progress::new();
        let engine = EngineState {
            catalog: catalog.clone(),
            clusters: Arc::new(Clusters::default()),
            metrics: Arc::clone(&metrics),
        };
        let worker = Worker::new(engine.clone(), config.worker, progress.clone(), failpoints);
        let token = OperatorToken::new(&config.operator_token);
        let wrong_tokens = config.limits.wrong_tokens_per_minute;
        let gate = Gate::new(token, catalog.clone(), Arc::clone(&metrics), wrong_tokens);
        let jwks = Arc::new(Jwks::new(config.identity, roots::of_the_system()));
        let proofs = Proofs::new(&config.domains);
        let proofs = Arc::new(proofs.map_err(|error| ControlPlaneError::NameServers(Box::new(error)))?);
        let api = ApiState {
            proofs,
            keep_old_slug,
            reserved_names: config.reserved_names.into(),
            catalog,
            gateway: Arc::new(config.gateway_endpoint),
            limits: config.limits,
            jwks,
            metrics,
            progress,
            people: Arc::new(People::new(config.people)),
            streams: Streams::default(),
            inquiries: Arc::default(),
        };
        let (domains, storage, trusted_proxies) = (config.domains, config.storage, config.trusted_proxies);
        Ok(Self { listener, tls, address, gate, api, engine, worker, domains, storage, trusted_proxies })
    }

    /// Where the API listens; tells which port was taken when the configuration says 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves the API and works off operations until `shutdown` is cancelled. Steps that are running then
    /// get a moment to end; whatever does not is taken up again by the next control plane.
    ///
    /// # Errors
    /// A part of it ended by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ControlPlaneError> {
        tracing::info!(address = %self.address, "control plane listens");
        let Self {
            listener,
            tls,
            gate,
            api,
            engine,
            worker,
            domains: settings,
            storage: storage_settings,
            trusted_proxies,
            ..
        } = self;
        let (catalog, progress) = (api.catalog.clone(), api.progress.clone());
        let admission = api::Admission { limits: api.limits.clone(), trusted: trusted_proxies };
        let metrics = Arc::clone(&api.metrics);
        let mut tasks = JoinSet::new();
        if let Some(tls) = &tls {
            tasks.spawn(Arc::clone(tls).follow(shutdown.clone()));
        }
        let (proofs, stop) = (Arc::clone(&api.proofs), shutdown.clone());
        tasks.spawn(domains::run(catalog.clone(), proofs, settings, stop));
        tasks.spawn(api::serve(listener, tls, api::router(api, gate), admission, metrics, shutdown.clone()));
        tasks.spawn(worker.run(shutdown.clone()));
        tasks.spawn(progress.listen(catalog.clone(), shutdown.clone()));
        tasks.spawn(signing_keys::run(catalog.clone(), shutdown.clone()));
        tasks.spawn(housekeeping::run(catalog, shutdown.clone()));
        tasks.spawn(role_keys::run(engine.clone(), shutdown.clone()));
        tasks.spawn(role_settings::run(engine.clone(), shutdown.clone()));
        tasks.spawn(storage::run(engine.clone(), storage_settings, shutdown.clone()));
        tasks.spawn(access_roles::run(engine, shutdown.clone()));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                // One part has panicked: the others end in order, and whoever runs us decides what then.
                shutdown.cancel();
                while tasks.join_next().await.is_some() {}
                return Err(error.into());
            }
        }
        Ok(())
    }
}

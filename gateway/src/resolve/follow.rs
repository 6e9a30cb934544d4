//! Keeps the routes current.
//!
//! A NOTIFY wakes us; what changed is read from the catalog by revision, so a lost or doubled wake-up
//! costs nothing. A timer does the same in case no wake-up ever comes, and a lost connection is
//! followed by a catch-up. What this gateway has applied is reported with its heartbeat: the control
//! plane waits for it before it relies on a change.
//!
//! While the catalog is away nothing is dropped: what is cached stays in force.

use super::Routes;
use crate::cancel::Peers;
use crate::pool::Registry;
use catalog_schema::{Catalog, CatalogError, Changed, GatewayHeartbeat, RouteWakeups};
use config::RouteCacheConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tenancy::{Revision, TenantId};
use tokio_util::sync::CancellationToken;

/// Pauses between attempts to reach a catalog that is away.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(3);

/// Where the gateway stands with respect to the catalog. Read by the metrics and by `/readyz`.
#[derive(Default)]
pub struct Progress {
    applied: AtomicI64,
    started: AtomicBool,
    connected: AtomicBool,
}

impl Progress {
    /// The last revision whose changes are all in force here.
    #[must_use]
    pub fn applied(&self) -> Revision {
        Revision::new(self.applied.load(Ordering::Acquire))
    }

    /// The catalog was reached at least once since the process started.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The catalog can be reached as far as we know.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}

/// The task that follows the catalog.
pub struct Follower {
    /// The catalog, read only but for the heartbeat.
    pub catalog: Catalog,
    /// The cache to keep current.
    pub routes: Arc<Routes>,
    /// The pools that a changed route may retire.
    pub pools: Arc<Registry>,
    /// Where we stand, for others to read.
    pub progress: Arc<Progress>,
    /// The gateways that cancel requests are passed on to.
    pub peers: Arc<Peers>,
    /// Intervals.
    pub settings: RouteCacheConfig,
    /// Who we are; the applied revision is filled in.
    pub heartbeat: GatewayHeartbeat,
}

impl Follower {
    /// Follows until `stop` fires, then signs this gateway off.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = RETRY_MIN;
        while !stop.is_cancelled() {
            let followed = tokio::select! {
                () = stop.cancelled() => break,
                followed = self.follow(&mut pause) => followed,
            };
            self.progress.connected.store(false, Ordering::Release);
            if let Err(error) = followed {
                tracing::warn!(%error, "the catalog is away; known tenants are served from the cache");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
            }
        }
        if let Err(error) = self.catalog.gateway_forget(self.heartbeat.id).await {
            tracing::info!(%error, "could not sign off from the catalog");
        }
    }

    async fn follow(&mut self, pause: &mut Duration) -> Result<(), CatalogError> {
        let mut wakeups = self.catalog.listen_routes().await?;
        if !self.progress.started() {
            // All that was before now is in force once what is cached was read after it. Clients may have been
            // let in already, in an earlier attempt at the latest.
            let now = self.catalog.current_revision().await?;
            self.apply_changes(Changed::Everything).await?;
            self.progress.applied.store(now.get(), Ordering::Release);
        }
        self.catch_up().await?;
        self.progress.started.store(true, Ordering::Release);
        self.beat().await?;
        self.progress.connected.store(true, Ordering::Release);
        *pause = RETRY_MIN;
        self.keep_up(&mut wakeups).await
    }

    async fn keep_up(&mut self, wakeups: &mut RouteWakeups) -> Result<(), CatalogError> {
        let doubts = Arc::clone(self.pools.doubts());
        let mut resync = tokio::time::interval(self.settings.resync_interval());
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat_interval());
        loop {
            tokio::select! {
                woken = wakeups.next() => {
                    woken?;
                    if self.catch_up().await? {
                        self.beat().await?;
                    }
                }
                doubted = doubts.next() => self.look_again(doubted).await?,
                _ = resync.tick() => { self.catch_up().await?; }
                _ = heartbeat.tick() => self.beat().await?,
            }
        }
    }

    /// Applies what changed since the last time. Says whether anything had.
    async fn catch_up(&mut self) -> Result<bool, CatalogError> {
        let applied = self.progress.applied();
        let changes = self.catalog.route_changes_since(applied).await?;
        if changes.revision == applied {
            return Ok(false);
        }
        self.apply_changes(changes.changed).await?;
        self.progress.applied.store(changes.revision.get(), Ordering::Release);
        Ok(true)
    }

    async fn apply_changes(&self, changed: Changed) -> Result<(), CatalogError> {
        self.routes.changes_begin();
        let ids: Vec<TenantId> = match changed {
            Changed::Tenants(ids) => ids,
            Changed::Everything => self.routes.all().iter().map(|tenant| tenant.id()).collect(),
        };
        for id in ids {
            if let Some(refreshed) = self.routes.refresh(id).await? {
                refreshed.apply(&self.pools);
            }
        }
        Ok(())
    }

    /// A server knows of a change that we have not heard of, or there is none.
    async fn look_again(&self, tenant: TenantId) -> Result<(), CatalogError> {
        match self.routes.refresh(tenant).await? {
            Some(refreshed) if refreshed.is_news() => refreshed.apply(&self.pools),
            _ => {}
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), CatalogError> {
        self.heartbeat.applied_revision = self.progress.applied();
        self.peers.numbered(self.catalog.gateway_heartbeat(&self.heartbeat).await?);
        self.peers.alive(self.catalog.gateway_addresses().await?);
        Ok(())
    }
}

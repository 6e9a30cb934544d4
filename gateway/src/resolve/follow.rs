//! Keeps the routes current.
//!
//! A NOTIFY wakes us; what changed is read from the catalog by revision, so a lost or doubled wake-up
//! costs nothing. A timer does the same in case no wake-up ever comes, and a lost connection is
//! followed by a catch-up. What this gateway has applied is reported with its heartbeat: the control
//! plane waits for it before it relies on a change.
//!
//! While the catalog is away nothing is dropped: what is cached stays in force, until it expires.

mod absence;
mod progress;
mod rates;
mod shares;
mod telling;
mod withdrawal;

use super::{Installation, Routes};
use crate::admit::storage;
use crate::authenticate::uses::Uses;
use crate::cancel::Peers;
use crate::clients::Clients;
use crate::pool::Registry;
pub use absence::Attendance;
use absence::Pass;
use catalog_schema::{
    BudgetWakeups, Catalog, CatalogError, Changed, ChangedDomains, GatewayHeartbeat, RouteWakeups,
};
use config::RouteCacheConfig;
pub use progress::Progress;
use rates::Rates;
use shares::Shares;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use telling::Telling;
use tenancy::TenantId;
use tokio_util::sync::CancellationToken;
use withdrawal::Withdrawal;

/// Pauses between attempts to reach a catalog that is away.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(3);

/// How long servers get to let go of the connections that we close at the end, before we sign off all the same.
const LET_GO_MAX: Duration = Duration::from_secs(2);

/// The task that follows the catalog.
pub struct Follower {
    /// The catalog, read only but for the heartbeat.
    pub catalog: Catalog,
    /// The cache to keep current.
    pub routes: Arc<Routes>,
    /// What the catalog says of the installation, to keep current.
    pub installation: Arc<Installation>,
    /// Who may have come in by something that is withdrawn.
    pub clients: Arc<Clients>,
    /// The uses of credentials, to be told.
    pub uses: Arc<Uses>,
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
    /// How long ago all of the above was current.
    pub attendance: Attendance,
}

impl Follower {
    /// Follows until `stop` fires, then signs this gateway off.
    pub async fn run(mut self, stop: CancellationToken) {
        let interval = self.settings.heartbeat_interval();
        let (pools, progress) = (Arc::clone(&self.pools), Arc::clone(&self.progress));
        let shares = Shares::new(self.heartbeat.id, pools, progress, interval);
        let (withdrawal, telling, rates) = (self.withdrawal(), self.telling(), self.rates());
        tokio::select! {
            () = self.keep_following(&shares, &stop) => {}
            () = shares.expire_in_time() => {}
            () = withdrawal.expire_in_time() => {}
            () = telling.keep_telling() => {}
            () = rates.keep_sharing() => {}
        }
        // What is given back is given to others at once.
        if tokio::time::timeout(LET_GO_MAX, self.pools.all_closed()).await.is_err() {
            tracing::info!(
                "servers have not let go of their connections; the lease on them is left to expire"
            );
            return;
        }
        if let Err(error) = self.catalog.gateway_forget(self.heartbeat.id).await {
            tracing::info!(%error, "could not sign off from the catalog");
        }
    }

    async fn keep_following(&mut self, shares: &Shares, stop: &CancellationToken) {
        let mut pause = RETRY_MIN;
        while !stop.is_cancelled() {
            let followed = tokio::select! {
                () = stop.cancelled() => break,
                followed = self.follow(shares, &mut pause) => followed,
            };
            self.progress.connected.store(false, Ordering::Release);
            self.attendance.lost();
            if let Err(error) = followed {
                tracing::warn!(%error, "the catalog is away; known tenants are served from the cache");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
            }
        }
    }

    async fn follow(&mut self, shares: &Shares, pause: &mut Duration) -> Result<(), CatalogError> {
        let mut wakeups = self.catalog.listen_routes().await?;
        let mut budgets = self.catalog.listen_budgets().await?;
        if !self.progress.started() {
            // All that was before now is in force once what is cached was read after it. Clients may have been
            // let in already, in an earlier attempt at the latest.
            let now = self.catalog.current_revision().await?;
            self.apply_changes(Changed::Everything).await?;
            self.progress.applied.store(now.get(), Ordering::Release);
        }
        self.catch_up().await?;
        self.progress.started.store(true, Ordering::Release);
        self.beat(shares).await?;
        self.progress.connected.store(true, Ordering::Release);
        *pause = RETRY_MIN;
        self.keep_up(shares, &mut wakeups, &mut budgets).await
    }

    async fn keep_up(
        &mut self,
        shares: &Shares,
        wakeups: &mut RouteWakeups,
        budgets: &mut BudgetWakeups,
    ) -> Result<(), CatalogError> {
        let doubts = Arc::clone(self.pools.doubts());
        let mut resync = tokio::time::interval(self.settings.resync_interval());
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat_interval());
        loop {
            tokio::select! {
                woken = wakeups.next() => {
                    woken?;
                    if self.catch_up().await? {
                        self.beat(shares).await?;
                    }
                }
                woken = budgets.next() => {
                    woken?;
                    shares.pace().await;
                    self.renew(shares).await?;
                }
                () = shares.wanting() => self.renew(shares).await?,
                doubted = doubts.next() => self.look_again(doubted).await?,
                _ = resync.tick() => { self.catch_up().await?; }
                _ = heartbeat.tick() => self.beat(shares).await?,
            }
        }
    }

    /// Applies what changed since the last time, and what was missed in between. Says whether anything had.
    async fn catch_up(&mut self) -> Result<bool, CatalogError> {
        let pass = Pass::begin();
        let had_changed = self.apply_news().await?;
        if self.attendance.was_absent() {
            self.withdrawal().look_again(&self.catalog).await?;
        }
        self.attendance.complete(pass);
        Ok(had_changed)
    }

    async fn apply_news(&mut self) -> Result<bool, CatalogError> {
        let applied = self.progress.applied();
        let changes = self.catalog.route_changes_since(applied).await?;
        // Before the rest of what is known of the installation: whoever waits for that asks whose a host is.
        self.follow_domains(changes.domains).await?;
        if self.installation.features().is_behind(changes.features) {
            self.installation.features().replace(self.catalog.features_document().await?);
        }
        if self.installation.is_behind(changes.identity) {
            self.installation.replace(self.catalog.identity().await?);
            self.withdrawal().end_unknown();
        }
        if changes.revision == applied {
            return Ok(false);
        }
        self.apply_changes(changes.changed).await?;
        if changes.revision < applied {
            self.restore_clusters();
        }
        self.progress.applied.store(changes.revision.get(), Ordering::Release);
        Ok(true)
    }

    async fn follow_domains(&self, changed: ChangedDomains) -> Result<(), CatalogError> {
        let changed = self.installation.domains().to_read(changed);
        if changed != ChangedDomains::These(Vec::new()) {
            let owners = self.catalog.domain_owners(&changed).await?;
            self.installation.domains().replace(&changed, owners);
        }
        Ok(())
    }

    /// The catalog was restored, and what it says of clusters may be older than what it said. Every cached route has
    /// been read since.
    fn restore_clusters(&self) {
        for tenant in self.routes.all() {
            if let Some(placement) = &tenant.route().placement {
                self.pools.restore(&placement.cluster);
            }
        }
    }

    async fn apply_changes(&self, changed: Changed) -> Result<(), CatalogError> {
        self.routes.changes_begin();
        let ids: HashSet<TenantId> = match changed {
            Changed::Tenants(ids) => ids.into_iter().collect(),
            Changed::Everything => self.routes.all().iter().map(|tenant| tenant.id()).collect(),
        };
        for id in &ids {
            if let Some(refreshed) = self.routes.refresh(*id).await? {
                refreshed.apply(&self.pools);
                // After its pools: whoever takes a connection now takes none to write with.
                storage::end_writers(&refreshed.tenant, &refreshed.old, &self.clients);
            }
        }
        self.withdrawal().end_among(&ids);
        Ok(())
    }

    fn withdrawal(&self) -> Withdrawal {
        let (routes, clients) = (Arc::clone(&self.routes), Arc::clone(&self.clients));
        Withdrawal { routes, installation: Arc::clone(&self.installation), clients }
    }

    fn rates(&self) -> Rates {
        Rates {
            catalog: self.catalog.clone(),
            gateway: self.heartbeat.id,
            book: Arc::clone(self.routes.book()),
            progress: Arc::clone(&self.progress),
            heartbeat: self.settings.heartbeat_interval(),
        }
    }

    fn telling(&self) -> Telling {
        let (uses, progress) = (Arc::clone(&self.uses), Arc::clone(&self.progress));
        Telling {
            catalog: self.catalog.clone(),
            uses,
            progress,
            interval: self.settings.heartbeat_interval(),
        }
    }

    /// A server knows of a change that we have not heard of, or there is none.
    async fn look_again(&self, tenant: TenantId) -> Result<(), CatalogError> {
        match self.routes.refresh(tenant).await? {
            Some(refreshed) if refreshed.is_news() => {
                refreshed.apply(&self.pools);
                storage::end_writers(&refreshed.tenant, &refreshed.old, &self.clients);
            }
            _ => {}
        }
        Ok(())
    }

    async fn beat(&mut self, shares: &Shares) -> Result<(), CatalogError> {
        self.heartbeat.applied_revision = self.progress.applied();
        self.peers.numbered(self.catalog.gateway_heartbeat(&self.heartbeat).await?);
        self.renew(shares).await?;
        let alive = self.catalog.gateway_addresses().await?;
        self.routes.book().alive(alive.len());
        self.peers.alive(alive);
        Ok(())
    }

    /// The part of the heartbeat that does not wait for its turn: what this gateway holds, and may hold.
    async fn renew(&self, shares: &Shares) -> Result<(), CatalogError> {
        let renewal = shares.renewal();
        let answer = self.catalog.renew_leases(&renewal.header, &renewal.claims).await?;
        shares.answered(&renewal, &answer);
        Ok(())
    }
}

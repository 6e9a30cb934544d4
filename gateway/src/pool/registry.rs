//! All pools of this gateway.

use super::breaker::Logins;
use super::checkout::POOLS_ASKED_MAX;
use super::expiry::Expiry;
use super::{Asker, CheckoutError, Cluster, Destination, Lease, Pool, PoolKey};
use crate::admit;
use crate::connect::{Connector, SessionDefaults};
use crate::error::Refusal;
use crate::relay::prepared::{PreparedMemory, StatementCache};
use crate::resolve::{Doubts, Tenant};
use crate::tls::ServerTlsSettings;
use catalog_schema::{ClusterRecord, PlacementRecord, RouteRecord};
use config::{PoolConfig, PreparedConfig};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::Arc;
use tenancy::{Access, ClusterId, ClusterState, ErrorKind, StorageStanding, TenantState};
use tokio::sync::Notify;

/// A route may change while its pool is looked up; it is then looked up again, this often at most.
const ROUTE_CHANGES_MAX: usize = 5;

/// Pools by what they connect to, and the clusters they share.
pub struct Registry {
    settings: PoolConfig,
    server_tls: ServerTlsSettings,
    prepared: Arc<PreparedMemory>,
    pools: DashMap<PoolKey, Arc<Pool>>,
    clusters: DashMap<ClusterId, Arc<Cluster>>,
    expiry: Arc<Expiry>,
    doubts: Arc<Doubts>,
    /// Told of what [`Registry::wanting`] says; none when this gateway has the clusters' whole budgets.
    wanting: Option<Arc<Notify>>,
}

impl Registry {
    /// No pools yet.
    #[must_use]
    pub fn new(settings: PoolConfig, server_tls: ServerTlsSettings) -> Self {
        let prepared = PreparedMemory::new(PreparedConfig::default());
        let (pools, clusters) = (DashMap::new(), DashMap::new());
        let expiry = Expiry::new(settings.idle_timeout(), settings.max_lifetime());
        Self {
            settings,
            server_tls,
            prepared,
            pools,
            clusters,
            expiry,
            doubts: Arc::default(),
            wanting: None,
        }
    }

    /// The same with these bounds on prepared statements.
    #[must_use]
    pub fn keeping(self, prepared: PreparedConfig) -> Self {
        Self { prepared: PreparedMemory::new(prepared), ..self }
    }

    /// The same for a gateway that shares the clusters' budgets with others: it holds no connection before it was
    /// given a share.
    #[must_use]
    pub fn sharing(self) -> Self {
        Self { wanting: Some(Arc::default()), ..self }
    }

    /// Told when a cluster is new here, could use more than its share, or has given up some of what exceeded it.
    /// Nobody tells it where budgets are not shared.
    #[must_use]
    pub fn wanting(&self) -> Arc<Notify> {
        self.wanting.clone().unwrap_or_default()
    }

    /// The prepared statements of all pools.
    #[must_use]
    pub fn prepared(&self) -> &PreparedMemory {
        &self.prepared
    }

    /// When connections and pools go.
    #[must_use]
    pub fn expiry(&self) -> &Arc<Expiry> {
        &self.expiry
    }

    /// Routes that servers have cast doubt on.
    #[must_use]
    pub fn doubts(&self) -> &Arc<Doubts> {
        &self.doubts
    }

    /// How pools behave.
    #[must_use]
    pub fn settings(&self) -> &PoolConfig {
        &self.settings
    }

    /// The pool that serves the tenant's clients of this access, made on first use. It may be one of a lesser access.
    ///
    /// # Errors
    /// The tenant may not work now, has no database or no role for the access, its cluster is offline, or the cluster
    /// lies outside the regions that the tenant allows.
    pub fn pool_of(&self, tenant: &Tenant, access: Access) -> Result<Arc<Pool>, Refusal> {
        for _ in 0..ROUTE_CHANGES_MAX {
            let route = tenant.route();
            let pool = self.pool_for(tenant, served(access, &route), &route)?;
            if tenant.has_route(&route) {
                return Ok(pool);
            }
            // The old route's pools may have been retired before this one was made for it.
            if !fits(&pool, tenant, &tenant.route()) {
                self.retire(&pool);
            }
        }
        Err(route_changed())
    }

    /// A connection of the tenant's for a client of this access, from whichever pool is its route's by the time there
    /// is one.
    ///
    /// # Errors
    /// See [`Registry::pool_of`] and [`Pool::checkout`].
    pub async fn checkout(
        &self,
        tenant: &Tenant,
        access: Access,
        asker: Asker,
    ) -> Result<Lease, CheckoutError> {
        let mut asked = 0;
        loop {
            let outcome = self.pool_of(tenant, access)?.checkout(asker).await;
            asked += 1;
            match outcome {
                Err(CheckoutError::Retired) if asked < POOLS_ASKED_MAX => {}
                outcome => return outcome,
            }
        }
    }

    fn pool_for(&self, tenant: &Tenant, access: Access, route: &RouteRecord) -> Result<Arc<Pool>, Refusal> {
        let placement = usable_placement(route)?;
        let key = PoolKey::of(placement, access).ok_or_else(no_role)?;
        if let Some(pool) = self.pools.get(&key)
            && fits(&pool, tenant, route)
        {
            pool.follow(route);
            return Ok(Arc::clone(&pool));
        }
        let cluster = self.cluster(placement);
        let make = || self.new_pool(tenant, route, placement, access, Arc::clone(&cluster));
        let mut entry = match self.pools.entry(key) {
            Entry::Occupied(entry) => entry.into_ref(),
            Entry::Vacant(entry) => entry.insert(make().ok_or_else(no_role)?),
        };
        if !fits(&entry, tenant, route) {
            entry.retire();
            *entry = make().ok_or_else(no_role)?;
        }
        Ok(Arc::clone(&entry))
    }

    fn new_pool(
        &self,
        tenant: &Tenant,
        route: &RouteRecord,
        placement: &PlacementRecord,
        access: Access,
        cluster: Arc<Cluster>,
    ) -> Option<Arc<Pool>> {
        let destination = Destination::of(tenant.id(), placement, access)?;
        let timeout = self.settings.connect_timeout();
        let endpoint = cluster.endpoint(&placement.cluster, &self.settings);
        let logins = Logins::new(endpoint, tenant.id(), Arc::clone(&self.doubts));
        let login = destination.login()?;
        let connector = Connector::new(tenant.id(), placement, login, &self.server_tls, timeout, logins);
        connector.set_session_defaults(SessionDefaults::of(route));
        let statements = StatementCache::new(Arc::clone(&self.prepared));
        let (expiry, usage) = (Arc::clone(&self.expiry), Arc::clone(tenant.usage()));
        Some(Pool::new(destination, cluster, connector, expiry, route.limits, usage, statements))
    }

    /// Has the tenant's pools follow its route: other limits come into force, and where the route leads elsewhere they
    /// are retired.
    pub fn route_changed(&self, old: &RouteRecord, new: Option<&RouteRecord>) {
        if let Some(placement) = new.and_then(|route| route.placement.as_ref()) {
            self.cluster(placement);
        }
        let Some(placement) = old.placement.as_ref() else { return };
        for key in Access::ALL.into_iter().filter_map(|access| PoolKey::of(placement, access)) {
            let Some(pool) = self.pools.get(&key).map(|pool| Arc::clone(&pool)) else { continue };
            match new.filter(|route| leads_to(route, &pool)) {
                Some(route) => pool.follow(route),
                None => self.retire(&pool),
            }
        }
    }

    /// Every pool, for the metrics and the sweep.
    #[must_use]
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        self.pools.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Every cluster that was used, for the metrics.
    #[must_use]
    pub fn clusters(&self) -> Vec<Arc<Cluster>> {
        self.clusters.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Forgets a pool that holds nothing and that nobody uses; it is made again when somebody asks. The last of a tenant
    /// with a floor stays for as long as the tenant is known, for what is kept for it.
    pub(super) fn forget_unused(&self, key: &PoolKey) {
        // The map's own reference is the only one: nobody is about to check out of it.
        let removed = self.pools.remove_if(key, |_, pool| {
            let is_last = pool.cluster().pools_beside(pool.member()) == 0;
            let is_kept = pool.limits().floor > 0 && is_last && Arc::strong_count(pool.usage()) > 1;
            let is_empty = pool.idle() == 0 && pool.leased() == 0 && pool.opening() == 0;
            Arc::strong_count(pool) == 1 && is_empty && !is_kept
        });
        if let Some((_, pool)) = removed {
            pool.retire();
        }
    }

    fn retire(&self, pool: &Arc<Pool>) {
        self.pools.remove_if(pool.key(), |_, current| Arc::ptr_eq(current, pool));
        pool.retire();
    }

    /// Retires every pool: the gateway is stopping.
    pub fn retire_all(&self) {
        for pool in self.pools() {
            pool.retire();
        }
    }

    /// Resolves when every server has let go of every connection.
    pub async fn all_closed(&self) {
        for cluster in self.clusters() {
            cluster.all_returned().await;
        }
    }

    /// The cluster, with what this route says of it in force. A route that is about to be replaced may say
    /// something older; its replacement then comes through here as well. Only the budget is shared: where to
    /// connect is each pool's own.
    fn cluster(&self, placement: &PlacementRecord) -> Arc<Cluster> {
        let record = &placement.cluster;
        let cluster = Arc::clone(
            &self.clusters.entry(record.id).or_insert_with(|| self.new_cluster(ClusterRecord::clone(record))),
        );
        cluster.update(record);
        cluster
    }

    fn new_cluster(&self, record: ClusterRecord) -> Arc<Cluster> {
        let long_percent = self.settings.long_held_share;
        let Some(wanting) = &self.wanting else {
            return Arc::new(Cluster::new(record).holding_long(long_percent));
        };
        wanting.notify_one();
        Arc::new(Cluster::shared(record, Arc::clone(wanting)).holding_long(long_percent))
    }

    /// Puts what the catalog says of a cluster in force although something newer is known: it was restored.
    pub fn restore(&self, record: &ClusterRecord) {
        if let Some(cluster) = self.clusters.get(&record.id) {
            cluster.restore(record);
        }
    }
}

/// The access that a client with this one is served with. A tenant that goes on filling its database although it is
/// full only reads.
fn served(access: Access, route: &RouteRecord) -> Access {
    if route.storage == StorageStanding::Sealed { access.max(Access::Read) } else { access }
}

/// Does the pool serve this route? A tenant that was forgotten and looked up again gets another: what it uses is
/// counted for the tenant that is known now.
fn fits(pool: &Pool, tenant: &Tenant, route: &RouteRecord) -> bool {
    leads_to(route, pool) && Arc::ptr_eq(pool.usage(), tenant.usage()) && !pool.is_retired()
}

/// Does the route end where the pool's connections do?
fn leads_to(route: &RouteRecord, pool: &Pool) -> bool {
    let destination = pool.destination();
    route.tenant_id == destination.tenant
        && route.state == TenantState::Active
        && route.storage != StorageStanding::Closed
        && served(destination.key.access, route) == destination.key.access
        && route.placement.as_ref().is_some_and(|now| destination.is_same_in(now))
}

/// What a client hears whose route keeps changing under it.
pub(super) fn route_changed() -> Refusal {
    Refusal::new(ErrorKind::TenantUnavailable, "the tenant's route has just changed").hint("try again")
}

/// What a client hears whose tenant was made by an older release, until its roles are there.
fn no_role() -> Refusal {
    Refusal::new(ErrorKind::TenantUnavailable, "the tenant's database has no role for this access yet")
        .hint("the control plane makes it; try again in a moment")
}

/// A client may have been admitted before the tenant was suspended or closed: the route at hand decides, not the past.
/// Residency fails closed here: no pool is made outside the tenant's regions, so no connection is.
fn usable_placement(route: &RouteRecord) -> Result<&PlacementRecord, Refusal> {
    admit::may_work(route.state)?;
    admit::storage::is_served(route.storage, || route.limits)?;
    let placement = route.placement.as_ref().ok_or_else(|| {
        Refusal::new(ErrorKind::TenantUnavailable, "the tenant has no database yet")
            .hint("try again in a moment")
    })?;
    let cluster = &placement.cluster;
    if !route.allowed_regions.contains(&cluster.region) {
        tracing::error!(
            tenant.id = %route.tenant_id, cluster = %cluster.name, region = %cluster.region,
            "refused to connect outside the regions that the tenant allows"
        );
        return Err(Refusal::new(
            ErrorKind::TenantUnavailable,
            "the tenant's database lies outside the regions that the tenant allows",
        ));
    }
    match cluster.state {
        ClusterState::Active | ClusterState::Draining => Ok(placement),
        ClusterState::Offline => {
            Err(Refusal::new(ErrorKind::ClusterUnavailable, "the tenant's cluster is offline")
                .hint("an operator has taken it out of service; try again later"))
        }
    }
}

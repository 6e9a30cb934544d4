//! Everything that a scrape looks at, read once, as plain numbers.

use super::budget_families::BudgetReading;
use super::console_families::ConsoleReading;
use super::http_families::HttpReading;
use super::login_families::LoginReading;
use super::rate_families::RateReading;
use super::share_families::ShareReading;
use super::token_families::TokenReading;
use crate::cancel::CancelOutcome;
use crate::metrics::anomalies::AnomalyCount;
use crate::metrics::tenants::packed::Packed;
use crate::metrics::tenants::totals::Totals;
use crate::metrics::tenants::{Holding, Sample};
use crate::pool::{Cluster, Pool, Registry};
use crate::relay::notify::hub::HubReading;
use crate::relay::prepared::PreparedMemory;
use crate::resolve::Tenant;
use crate::shared::Shared;
use crate::tls::Acceptor;
use crate::tls::certificate::Certificate;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tenancy::{ErrorKind, TenantId};

/// What the gateway holds and has counted.
#[derive(Debug, Default)]
pub struct Readings {
    /// Every tenant it knows.
    pub tenants: Vec<Sample>,
    /// Every cluster it used.
    pub clusters: Vec<ClusterReading>,
    /// Logins to them.
    pub logins: Vec<LoginReading>,
    /// Its shares of their connection budgets.
    pub shares: ShareReading,
    /// How these are shared out over pools.
    pub budgets: BudgetReading,
    /// TLS with clients, if there is any.
    pub tls: Option<TlsReading>,
    /// Tokens, and their issuers' keys.
    pub tokens: TokenReading,
    /// Results that stream over HTTP.
    pub http: HttpReading,
    /// What operators do.
    pub console: ConsoleReading,
    /// Tenants' rates, and addresses.
    pub rates: RateReading,
    /// What belongs to neither.
    pub process: ProcessReading,
}

/// One cluster's budget.
#[derive(Debug, Clone)]
pub struct ClusterReading {
    /// The cluster's name.
    pub name: String,
    /// Connections open, being opened or being closed.
    pub connections: u64,
    /// The most that all gateways may hold together.
    pub budget: u64,
    /// Check-outs that wait for the budget.
    pub waiting: u64,
}

/// TLS with clients.
#[derive(Debug, Clone, Default)]
pub struct TlsReading {
    /// Handshakes that succeeded, and that failed.
    pub handshakes: [u64; 2],
    /// Changed files that were taken into use, and that could not be.
    pub reloads: [u64; 2],
    /// The certificates in use: file, and end of validity in seconds since 1970.
    pub certificates: Vec<(String, u64)>,
}

/// What belongs to no tenant and no cluster.
#[derive(Debug, Clone, Default)]
pub struct ProcessReading {
    /// PostgreSQL clients connected, authenticated or not.
    pub clients: u64,
    /// The most allowed.
    pub client_limit: u64,
    /// Connections accepted on the PostgreSQL listener.
    pub pg_connections: u64,
    /// Requests on the HTTP listener.
    pub http_requests: u64,
    /// WebSockets opened.
    pub websockets: u64,
    /// Cancel requests by what came of them.
    pub cancels: Vec<(CancelOutcome, u64)>,
    /// Server connections condemned because a reply was not the one due.
    pub out_of_sync: u64,
    /// Refusals before a tenant was known for sure.
    pub refusals: Vec<(ErrorKind, u64)>,
    /// Clients ended because their credential was withdrawn.
    pub withdrawn_clients: u64,
    /// Clients ended because their tenant may be reached from their address no more.
    pub shut_out_clients: u64,
    /// Features that are known.
    pub features: u64,
    /// Uses of credentials that were not told.
    pub uses_dropped: u64,
    /// Clients that named two different tenants.
    pub anomalies: Vec<AnomalyCount>,
    /// What clients listen to without connections of their own.
    pub listening: HubReading,
    /// Prepared statements known, and what was counted of them.
    pub prepared: PreparedReading,
    /// Tenants whose routes are cached.
    pub route_cache_entries: u64,
    /// Lookups answered from the cache.
    pub route_cache_hits: u64,
    /// Lookups that had to ask the catalog.
    pub route_cache_misses: u64,
    /// Tenants forgotten to make room.
    pub route_cache_evictions: u64,
    /// The last catalog revision whose changes are in force. The catalog counts from 0.
    pub revision_applied: u64,
    /// The catalog can be reached.
    pub catalog_connected: bool,
}

/// The prepared statements of all pools.
#[derive(Debug, Clone, Default)]
pub struct PreparedReading {
    /// Distinct statements known.
    pub statements: u64,
    /// Memory that they take.
    pub bytes: u64,
    /// Uses of a statement that the leased connection had.
    pub hits: u64,
    /// Uses for which it had to be prepared.
    pub misses: u64,
    /// Forgotten by a pool to make room.
    pub forgotten: u64,
    /// Closed on a server connection to make room.
    pub closed: u64,
    /// Requests made again because a statement had grown out of date.
    pub healed: u64,
}

impl Readings {
    /// Reads everything. Nobody is stopped meanwhile, so numbers may be some microseconds apart.
    #[must_use]
    pub fn take(shared: &Shared) -> Self {
        let (pools, tenants) = (OpenPools::read(&shared.pools), shared.routes.all());
        Self {
            tenants: tenants.iter().map(|tenant| sample(tenant, &pools)).collect(),
            console: ConsoleReading::take(shared, &tenants),
            rates: RateReading::take(shared),
            clusters: shared.pools.clusters().iter().map(|cluster| cluster_reading(cluster)).collect(),
            logins: shared.pools.clusters().iter().map(|cluster| LoginReading::take(cluster)).collect(),
            shares: ShareReading::take(shared),
            budgets: BudgetReading::take(shared),
            tls: shared.tls.as_deref().map(tls_reading),
            tokens: TokenReading::take(&shared.tokens),
            http: HttpReading::of(&shared.usage),
            process: process_reading(shared),
        }
    }
}

/// The pools that exist, by whose they are.
pub struct OpenPools(HashMap<TenantId, Vec<Arc<Pool>>>);

impl OpenPools {
    /// The pools now.
    #[must_use]
    pub fn read(registry: &Registry) -> Self {
        let mut all: HashMap<TenantId, Vec<Arc<Pool>>> = HashMap::new();
        for pool in registry.pools() {
            all.entry(pool.destination().tenant).or_default().push(pool);
        }
        all.values_mut().for_each(|pools| pools.sort_unstable_by_key(|pool| pool.access()));
        Self(all)
    }

    /// Those of one tenant that anybody has asked for yet, the mightiest first.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> &[Arc<Pool>] {
        self.0.get(&tenant).map_or(&[], |pools| pools)
    }

    /// What they come to together.
    #[must_use]
    pub fn sum(&self, tenant: TenantId, of: fn(&Pool) -> u32) -> u32 {
        self.of(tenant).iter().map(|pool| of(pool)).sum()
    }
}

fn sample(tenant: &Tenant, pools: &OpenPools) -> Sample {
    let route = tenant.route();
    let sum = |of| pools.sum(tenant.id(), of).into();
    let holding = Holding {
        pool_size: route.limits.pool_size.into(),
        clients: tenant.clients().load(Ordering::Acquire).into(),
        active: sum(Pool::leased),
        idle: sum(Pool::idle),
        opening: sum(Pool::opening),
        waiting: sum(Pool::waiting_in_all),
    };
    let totals = Packed::from(&Totals::read(tenant.usage()));
    Sample { id: tenant.id(), label: tenant.usage().label(), holding, totals }
}

fn cluster_reading(cluster: &Cluster) -> ClusterReading {
    let holdings = cluster.holdings();
    ClusterReading {
        name: cluster.record().name.to_string(),
        connections: holdings.held.into(),
        budget: cluster.record().connection_budget.into(),
        waiting: holdings.wanted.into(),
    }
}

fn tls_reading(acceptor: &Acceptor) -> TlsReading {
    let expiry = |certificate: &Certificate| (certificate.file.clone(), certificate.not_after.as_secs());
    TlsReading {
        handshakes: [acceptor.succeeded.get(), acceptor.failed.get()],
        reloads: [acceptor.reloaded.get(), acceptor.reload_failed.get()],
        certificates: acceptor.certificates().iter().map(expiry).collect(),
    }
}

fn prepared_reading(prepared: &PreparedMemory) -> PreparedReading {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    PreparedReading {
        statements: count(prepared.statements()),
        bytes: count(prepared.bytes()),
        hits: prepared.hits.get(),
        misses: prepared.misses.get(),
        forgotten: prepared.forgotten.get(),
        closed: prepared.closed.get(),
        healed: prepared.healed.get(),
    }
}

fn listening_reading(pools: &Registry) -> HubReading {
    pools
        .pools()
        .iter()
        .map(|pool| pool.notifications().reading())
        .fold(HubReading::default(), HubReading::plus)
}

fn process_reading(shared: &Shared) -> ProcessReading {
    let client_limit = u64::from(shared.config.limits.client_limit);
    let free = u64::try_from(shared.client_places.available_permits()).unwrap_or(u64::MAX);
    ProcessReading {
        clients: client_limit.saturating_sub(free),
        client_limit,
        pg_connections: shared.usage.pg_connections.get(),
        http_requests: shared.usage.http_requests.get(),
        websockets: shared.usage.websockets.get(),
        cancels: shared.usage.cancels().collect(),
        out_of_sync: shared.usage.out_of_sync.get(),
        refusals: shared.usage.refusals.errors().collect(),
        withdrawn_clients: shared.clients.withdrawn.get(),
        shut_out_clients: shared.clients.shut_out.get(),
        features: u64::try_from(shared.installation.features().count()).unwrap_or(u64::MAX),
        uses_dropped: shared.uses.dropped.get(),
        anomalies: shared.usage.anomalies.read(),
        listening: listening_reading(&shared.pools),
        prepared: prepared_reading(shared.pools.prepared()),
        route_cache_entries: u64::try_from(shared.routes.len()).unwrap_or(u64::MAX),
        route_cache_hits: shared.routes.hits.load(Ordering::Relaxed),
        route_cache_misses: shared.routes.misses.load(Ordering::Relaxed),
        route_cache_evictions: shared.routes.evictions.get(),
        revision_applied: u64::try_from(shared.progress.applied().get()).unwrap_or(0),
        catalog_connected: shared.progress.connected(),
    }
}

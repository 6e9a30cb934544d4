mod demand;
mod handing;
mod long;
mod opening;
mod roles;

use super::allocator::Terms;
use super::idle::Glance;
use super::{Asker, CheckoutError, Cluster, ConnectPermit, Pool, Registry};
use crate::connect::{CancelTarget, ServerConnection};
use crate::resolve::Tenant;
use crate::stream::ServerStream;
use crate::tls::ServerTlsSettings;
use catalog_schema::{ClusterRecord, ClusterTls, Logins, PlacementRecord, RoleLogin, RouteRecord};
use futures_util::FutureExt;
use pgwire::CancelKey;
use pgwire::scram::ClientKeys;
use std::sync::{Arc, Weak};
use tenancy::{
    Access, ClusterId, ClusterState, ErrorKind, Generation, Isolation, Limits, StorageStanding, TenantId,
    TenantState, TlsMode, WEIGHT_DEFAULT,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// An active tenant's route.
pub(crate) fn route() -> RouteRecord {
    let region: tenancy::RegionName = "eu".parse().expect("a region");
    RouteRecord {
        tenant_id: TenantId::generate(),
        slug: "acme".parse().expect("a slug"),
        aliases: Vec::new(),
        state: TenantState::Active,
        plan: "standard".parse().expect("a plan"),
        isolation: Isolation::Database,
        generation: Generation::default(),
        region: region.clone(),
        allowed_regions: vec![region.clone()],
        limits: Limits {
            pool_size: 1,
            client_limit: 9,
            queue_limit: 9,
            checkout_timeout_ms: 60_000,
            ..Limits::STANDARD
        },
        storage: StorageStanding::Within,
        settings_epoch: 0,
        placement: Some(PlacementRecord {
            cluster: Arc::new(ClusterRecord {
                id: ClusterId::generate(),
                name: "c1".parse().expect("a name"),
                region,
                host: "127.0.0.1".into(),
                port: 9,
                system_identifier: "1".into(),
                connection_budget: 3,
                state: ClusterState::Active,
                tls: ClusterTls { mode: TlsMode::Disable, ..ClusterTls::default() },
                version: 1,
            }),
            database: format!("t_{}", "0".repeat(32)).parse().expect("a name"),
            database_oid: None,
            logins: Logins::of_owner(RoleLogin {
                role: format!("t_{}", "0".repeat(32)).parse().expect("a name"),
                keys: ClientKeys::generate().expect("random numbers").0,
            }),
        }),
        credentials: Vec::new(),
        features: Vec::new(),
        allow_list: Vec::new(),
        revoked: Vec::new(),
        issuers: Vec::new(),
        external_ids: Vec::new(),
    }
}

fn registry() -> Registry {
    Registry::new(config::GatewayConfig::default().pool, ServerTlsSettings::default())
}

fn tenant(route: &RouteRecord) -> Tenant {
    Tenant::new(route.clone(), CancellationToken::new())
}

/// Puts a connection into the pool, and returns its server's end.
async fn add_connection(pool: &Arc<Pool>, listener: &TcpListener) -> TcpStream {
    let address = listener.local_addr().expect("it listens");
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let permit: ConnectPermit = pool.cluster().permit_for(pool.member());
    let key = CancelKey { process_id: 0, secret: 0 };
    let client = ServerStream::Plain(client.expect("a connection"));
    pool.add(ServerConnection::new(client, permit, CancelTarget::new(address, key, None), Vec::new()));
    server.expect("a connection").0
}

#[test]
fn no_pool_is_made_for_a_tenant_that_may_not_work() {
    let (registry, mut route) = (registry(), route());
    route.state = TenantState::Suspended;
    let refused = registry.pool_of(&tenant(&route), Access::Owner).err().expect("it is suspended");
    assert_eq!(refused.kind(), ErrorKind::TenantSuspended);
    route.state = TenantState::Purging;
    assert!(registry.pool_of(&tenant(&route), Access::Owner).is_err());
    assert!(registry.pools().is_empty());
}

#[test]
fn a_route_that_leads_elsewhere_gets_a_pool_of_its_own() {
    let (registry, mut route) = (registry(), route());
    let tenant = tenant(&route);
    let first = registry.pool_of(&tenant, Access::Owner).expect("a pool");
    tenant.replace_route(route.clone());
    assert!(Arc::ptr_eq(&first, &registry.pool_of(&tenant, Access::Owner).expect("the same place")));
    Arc::make_mut(&mut route.placement.as_mut().expect("placed").cluster).port += 1;
    tenant.replace_route(route);
    let second = registry.pool_of(&tenant, Access::Owner).expect("a pool");
    assert!(first.is_retired() && !second.is_retired());
}

#[tokio::test]
async fn whoever_waits_hears_at_once_that_the_pool_is_retired() {
    let (registry, route) = (registry(), route());
    let pool = registry.pool_of(&tenant(&route), Access::Owner).expect("a pool");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let _server = add_connection(&pool, &listener).await;
    let lease = pool.checkout_now().expect("one is idle");
    let retire = async {
        while pool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        registry.route_changed(&route, None);
    };
    let (outcome, ()) = tokio::join!(pool.checkout(Asker::GATEWAY), retire);
    assert!(matches!(outcome, Err(CheckoutError::Retired)));
    lease.release();
    assert_eq!((pool.idle(), pool.waiting()), (0, 0));
}

#[test]
fn an_older_record_of_a_cluster_changes_nothing() {
    let older = route().placement.expect("it is placed").cluster;
    let mut newer = ClusterRecord::clone(&older);
    (newer.version, newer.connection_budget) = (older.version + 1, 7);
    let cluster = Arc::new(Cluster::new(ClusterRecord::clone(&older)));
    cluster.update(&newer);
    assert_eq!((cluster.limit(), cluster.record().version), (7, newer.version));
    cluster.update(&older);
    assert_eq!((cluster.limit(), cluster.record().version), (7, newer.version));
}

#[test]
fn what_a_restored_catalog_says_of_a_cluster_holds_although_it_is_older() {
    let older = route().placement.expect("it is placed").cluster;
    let mut newer = ClusterRecord::clone(&older);
    (newer.version, newer.connection_budget) = (older.version + 1, 7);
    let cluster = Arc::new(Cluster::new(newer));
    cluster.restore(&older);
    assert_eq!((cluster.limit(), cluster.record().version), (3, older.version));
}

#[test]
fn a_share_is_within_the_budget_and_nothing_before_it_is_given() {
    let record = ClusterRecord::clone(&route().placement.expect("it is placed").cluster);
    let cluster = Arc::new(Cluster::shared(record.clone(), Arc::default()));
    assert_eq!(cluster.limit(), 0);
    cluster.set_limit(2);
    assert_eq!(cluster.limit(), 2);
    cluster.set_limit(9);
    assert_eq!((cluster.limit(), cluster.share()), (3, 9), "of a budget of three");
    cluster.update(&ClusterRecord { version: record.version + 1, connection_budget: 1, ..record });
    assert_eq!((cluster.limit(), cluster.share()), (1, 9));
}

#[test]
fn of_each_connection_that_is_given_up_beyond_a_share_somebody_is_told() {
    let record = ClusterRecord::clone(&route().placement.expect("it is placed").cluster);
    let wanting = Arc::<Notify>::default();
    let was_told = || wanting.notified().now_or_never().is_some();
    let cluster = Arc::new(Cluster::shared(record, Arc::clone(&wanting)));
    cluster.set_limit(3);
    let terms = Terms { floor: 0, weight: WEIGHT_DEFAULT, cap: 3 };
    let (member, _) = cluster.join(TenantId::generate(), terms, Weak::new(), Glance::new(cluster.clock()));
    let [first, second, third] = [(); 3].map(|()| cluster.permit_for(member));
    cluster.set_limit(1);
    // That it is too small.
    assert!(was_told() && !was_told());
    drop(first);
    assert!(was_told() && !was_told());
    drop(second);
    assert!(was_told() && !was_told());
    drop(third);
    assert!(!was_told(), "it was within the share");
}

//! A tenant's pools, one for each access.

use super::{add_connection, registry, route, tenant};
use crate::error::Refusal;
use crate::pool::{Asker, LongHold, Pool, Registry, expiry};
use crate::resolve::Tenant;
use crate::tls::ServerTlsSettings;
use catalog_schema::{RoleLogin, RouteRecord};
use futures_util::poll;
use pgwire::scram::ClientKeys;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::{Access, ErrorKind};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const A: Asker = Asker::GATEWAY;
const LATEST: Duration = Duration::from_secs(30);

fn login(number: usize) -> RoleLogin {
    let role = format!("t_{}", number.to_string().repeat(32)).parse().expect("a name");
    RoleLogin { role, keys: ClientKeys::generate().expect("random numbers").0 }
}

/// A route with a role for each access.
fn with_roles(pool_size: u32) -> RouteRecord {
    let mut route = route();
    route.limits.pool_size = pool_size;
    let logins = &mut route.placement.as_mut().expect("placed").logins;
    (logins.write, logins.read) = (Some(login(1)), Some(login(2)));
    route
}

fn pools(registry: &Registry, tenant: &Tenant) -> [Arc<Pool>; 3] {
    Access::ALL.map(|access| registry.pool_of(tenant, access).expect("a pool"))
}

async fn connection(pool: &Arc<Pool>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    add_connection(pool, &listener).await
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LATEST, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_connection_of_one_access_serves_no_other() {
    let (registry, tenant) = (registry(), tenant(&with_roles(3)));
    let [owner, writer, reader] = pools(&registry, &tenant);
    let _server = connection(&owner).await;
    assert!(writer.checkout_now().is_none() && reader.checkout_now().is_none());
    let lease = owner.checkout_now().expect("one is idle");
    assert_eq!((lease.access(), lease.pool().access()), (Access::Owner, Access::Owner));
    lease.release();
    assert_eq!((owner.idle(), writer.idle(), reader.idle()), (1, 0, 0));
    let again = registry.checkout(&tenant, Access::Owner, A).await.expect("one is idle");
    assert_eq!(again.access(), Access::Owner);
}

#[test]
fn not_even_a_role_that_a_catalog_has_twice_brings_two_together() {
    let mut route = with_roles(3);
    let logins = &mut route.placement.as_mut().expect("placed").logins;
    (logins.write, logins.read) = (Some(logins.owner.clone()), Some(logins.owner.clone()));
    let (registry, tenant) = (registry(), tenant(&route));
    let pools = pools(&registry, &tenant);
    assert_eq!(registry.pools().len(), 3);
    assert_eq!(pools.map(|pool| pool.access()), Access::ALL);
}

#[test]
fn who_has_no_role_yet_is_told_to_wait() {
    let (registry, tenant) = (registry(), tenant(&route()));
    let refused = registry.pool_of(&tenant, Access::Read).err().expect("it has no role");
    assert_eq!(refused.kind(), ErrorKind::TenantUnavailable);
    assert!(refused.hint_text().is_some());
    assert!(registry.pools().is_empty());
}

#[tokio::test]
async fn an_idle_connection_of_one_makes_way_for_who_waits_at_another() {
    let (registry, tenant) = (registry(), tenant(&with_roles(1)));
    let [owner, _writer, reader] = pools(&registry, &tenant);
    let _server = connection(&owner).await;
    let mut waiting = pin!(reader.checkout(A));
    assert!(poll!(&mut waiting).is_pending());
    until("the idle connection is gone", || owner.idle() == 0).await;
}

#[tokio::test]
async fn a_leased_connection_of_one_makes_way_when_its_turn_is_over() {
    let (registry, tenant) = (registry(), tenant(&with_roles(1)));
    let [owner, _writer, reader] = pools(&registry, &tenant);
    let _server = connection(&owner).await;
    let mut waiting = pin!(reader.checkout(A));
    let started = Instant::now();
    let lease = owner.checkout_now().expect("one is idle");
    assert!(poll!(&mut waiting).is_pending());
    until("its turn is over", || started.elapsed() >= crate::pool::allocator::reclaim::TURN).await;
    lease.release();
    assert_eq!((owner.idle(), owner.leased()), (0, 0));
}

#[tokio::test]
async fn a_queue_is_as_long_as_all_of_them_together() {
    let mut route = with_roles(1);
    route.limits.queue_limit = 1;
    let (registry, tenant) = (registry(), tenant(&route));
    let [owner, writer, reader] = pools(&registry, &tenant);
    let _server = connection(&owner).await;
    let _lease = owner.checkout_now().expect("one is idle");
    let mut first = Box::pin(writer.checkout(A));
    assert!(poll!(&mut first).is_pending());
    for pool in [&owner, &writer, &reader] {
        let refused = Refusal::from(pool.checkout(A).await.err().expect("the queue is full"));
        assert_eq!(refused.kind(), ErrorKind::QueueFull);
    }
    drop(first);
    assert!(poll!(pin!(reader.checkout(A))).is_pending());
}

#[tokio::test]
async fn who_waits_to_keep_a_connection_counts_for_all_of_them() {
    let mut route = with_roles(3);
    route.limits.queue_limit = 1;
    let (registry, tenant) = (registry(), tenant(&route));
    let [owner, writer, reader] = pools(&registry, &tenant);
    let _servers = (connection(&owner).await, connection(&owner).await);
    // Of a budget of three, two may be kept.
    let _kept = [(); 2].map(|()| owner.checkout_for_session_now().expect("it may be kept"));
    let mut first = pin!(writer.checkout_for_session(A));
    assert!(poll!(&mut first).is_pending());
    let refused = Refusal::from(reader.checkout_for_session(A).await.err().expect("one waits"));
    assert_eq!(refused.kind(), ErrorKind::LongHolds);
}

#[tokio::test]
async fn a_tenant_has_no_more_turns_to_keep_a_connection_for_having_several_pools() {
    let (registry, route) = (registry(), with_roles(3));
    let (tenant, mut beside) = (tenant(&route), with_roles(3));
    let cluster = Arc::clone(&route.placement.as_ref().expect("placed").cluster);
    let placement = beside.placement.as_mut().expect("placed");
    (placement.cluster, placement.database) =
        (cluster, format!("t_{}", "9".repeat(32)).parse().expect("a name"));
    let [owner, writer, reader] = pools(&registry, &tenant);
    let other = registry.pool_of(&super::tenant(&beside), Access::Owner).expect("a pool");
    let cluster = Arc::clone(owner.cluster());
    let keep = |pool: &Arc<Pool>| {
        let (cluster, member) = (Arc::clone(pool.cluster()), pool.member());
        async move { cluster.keep_long_in_turn(member, 1, LongHold::Session).await.expect("its turn") }
    };
    // Of a budget of three, two may be kept.
    let [first, second] =
        [(); 2].map(|()| cluster.keep_long(owner.member(), LongHold::Session).expect("kept"));
    let (mut writers, mut readers, mut others) =
        (pin!(keep(&writer)), pin!(keep(&reader)), pin!(keep(&other)));
    assert!(poll!(&mut writers).is_pending() && poll!(&mut readers).is_pending());
    assert!(poll!(&mut others).is_pending());
    drop((first, second));
    assert!(poll!(&mut readers).is_pending());
    let _kept = (writers.await, others.await);
    // Who waits at a pool that is held back is told, and nobody else.
    owner.hold_back();
    assert!(poll!(&mut readers).is_pending());
}

#[tokio::test]
async fn a_routes_change_reaches_all_of_them() {
    let (registry, route) = (registry(), with_roles(3));
    let tenant = tenant(&route);
    let pools_before = pools(&registry, &tenant);
    let mut servers = Vec::new();
    for pool in &pools_before {
        servers.push(connection(pool).await);
    }
    let mut smaller = route.clone();
    smaller.limits.pool_size = 2;
    tenant.replace_route(smaller.clone());
    registry.route_changed(&route, Some(&smaller));
    assert!(pools_before.iter().all(|pool| pool.limits().pool_size == 2));
    assert_eq!(pools_before.iter().map(|pool| pool.idle()).sum::<u32>(), 2, "together");

    // The readers' role has got other keys.
    let mut changed = smaller.clone();
    changed.placement.as_mut().expect("placed").logins.read = Some(login(2));
    tenant.replace_route(changed.clone());
    registry.route_changed(&smaller, Some(&changed));
    assert_eq!(pools_before.each_ref().map(|pool| pool.is_retired()), [false, false, true]);
    assert!(!registry.pool_of(&tenant, Access::Read).expect("a new one").is_retired());

    let pools_now = pools(&registry, &tenant);
    registry.route_changed(&changed, None);
    assert!(pools_now.iter().all(|pool| pool.is_retired() && pool.idle() == 0));
    assert!(registry.pools().is_empty());
}

#[tokio::test]
async fn the_last_pool_of_a_tenant_with_a_floor_stays() {
    let settings = config::PoolConfig { idle_timeout_ms: 50, ..config::GatewayConfig::default().pool };
    let registry = Arc::new(Registry::new(settings, ServerTlsSettings::default()));
    let stop = CancellationToken::new();
    let sweep = tokio::spawn(expiry::run(Arc::clone(&registry), stop.clone()));
    let mut route = with_roles(3);
    route.limits.floor = 1;
    let tenant = tenant(&route);
    drop(pools(&registry, &tenant));
    until("two are forgotten", || registry.pools().len() == 1).await;
    let cluster = registry.clusters().pop().expect("it was used");
    assert_eq!(cluster.holdings().reserved, 1);
    stop.cancel();
    sweep.await.expect("no panic");
}

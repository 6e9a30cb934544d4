//! Connections from hand to hand, and out of it.

use super::{add_connection, registry, route, tenant};
use crate::pool::allocator::Terms;
use crate::pool::allocator::reclaim::TURN;
use crate::pool::idle::Glance;
use crate::pool::{Asker, LongHold, Pool, Registry, expiry};
use crate::tls::ServerTlsSettings;
use crate::workers::Workers;
use futures_util::poll;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tenancy::{Access, ErrorKind, Limits, TenantId, WEIGHT_DEFAULT};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const A: Asker = Asker::GATEWAY;
const LATEST: Duration = Duration::from_secs(30);

/// A pool with so many connections, and its servers' ends.
pub(super) async fn pool(connections: usize, limits: Limits) -> (Arc<Pool>, Vec<TcpStream>) {
    let mut route = route();
    route.limits = limits;
    with_connections(&registry(), connections, &route).await
}

pub(super) async fn with_connections(
    registry: &Registry,
    connections: usize,
    route: &catalog_schema::RouteRecord,
) -> (Arc<Pool>, Vec<TcpStream>) {
    let pool = registry.pool_of(&tenant(route), Access::Owner).expect("a pool");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut servers = Vec::new();
    for _ in 0..connections {
        servers.push(add_connection(&pool, &listener).await);
    }
    (pool, servers)
}

pub(super) fn limits(pool_size: u32) -> Limits {
    Limits { pool_size, ..route().limits }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LATEST, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn who_waits_is_handed_what_is_given_back() {
    let (pool, _servers) = pool(1, limits(1)).await;
    let lease = pool.checkout_now().expect("one is idle");
    let mut waiting = pin!(pool.checkout(A));
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!(pool.waiting(), 1);
    lease.release();
    assert_eq!((pool.waiting(), pool.idle(), pool.leased()), (0, 0, 1), "it is on its way");
    assert!(pool.checkout_now().is_none());
    waiting.await.expect("it was handed over").release();
    assert_eq!((pool.idle(), pool.leased()), (1, 0));
}

#[tokio::test]
async fn who_leaves_with_a_connection_on_its_way_gives_it_on() {
    let (pool, _servers) = pool(1, limits(1)).await;
    let lease = pool.checkout_now().expect("one is idle");
    let mut first = Box::pin(pool.checkout(A));
    let mut second = pin!(pool.checkout(A));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    lease.release();
    assert_eq!(pool.waiting(), 1);
    drop(first);
    assert_eq!(pool.waiting(), 0);
    let lease = second.await.expect("it was given on");
    // And with nobody behind it, it is idle again.
    let mut third = Box::pin(pool.checkout(A));
    assert!(poll!(&mut third).is_pending());
    lease.release();
    drop(third);
    assert_eq!((pool.idle(), pool.leased(), pool.waiting()), (1, 0, 0));
}

/// Its events arrive there already. Only somebody who has not waited for long is overtaken, so it may take some tries to
/// see it.
#[tokio::test]
async fn who_waits_on_a_connections_own_thread_comes_before_who_waits_elsewhere() {
    let (pool, _servers) = pool(1, limits(1)).await;
    let workers = Workers::start(1).expect("a thread");
    let there = || {
        let pool = Arc::clone(&pool);
        workers.accepting().spawn(async move { pool.checkout(A).await })
    };
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < LATEST, "the first in line was always first");
        let lease = there().await.expect("no panic").expect("one is idle");
        let mut elsewhere = Box::pin(pool.checkout(A));
        assert!(poll!(&mut elsewhere).is_pending());
        let same_thread = there();
        until("both wait", || pool.waiting() == 2).await;
        lease.release();
        let is_overtaken =
            poll!(&mut elsewhere).map(|lease| lease.expect("its turn has come").release()).is_pending();
        same_thread.await.expect("no panic").expect("its turn has come").release();
        if is_overtaken {
            return elsewhere.await.expect("its turn has come").release();
        }
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_who_leaves_makes_room() {
    let (pool, _servers) = pool(1, Limits { queue_limit: 1, ..limits(1) }).await;
    let _lease = pool.checkout_now().expect("one is idle");
    let mut waiting = Box::pin(pool.checkout(A));
    assert!(poll!(&mut waiting).is_pending());
    let refused = crate::error::Refusal::from(pool.checkout(A).await.err().expect("the queue is full"));
    assert_eq!(refused.kind(), ErrorKind::QueueFull);
    assert!(refused.hint_text().is_some());
    drop(waiting);
    assert_eq!(pool.waiting(), 0);
    assert!(poll!(pin!(pool.checkout(A))).is_pending());
}

#[tokio::test]
async fn limits_change_without_a_new_pool() {
    let (registry, mut route) = (registry(), route());
    route.limits.pool_size = 3;
    let tenant = tenant(&route);
    let pool = registry.pool_of(&tenant, Access::Owner).expect("a pool");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let _servers = [
        add_connection(&pool, &listener).await,
        add_connection(&pool, &listener).await,
        add_connection(&pool, &listener).await,
    ];
    let (first, second) = (pool.checkout_now().expect("idle"), pool.checkout_now().expect("idle"));
    let mut smaller = route.clone();
    smaller.limits.pool_size = 1;
    tenant.replace_route(smaller.clone());
    registry.route_changed(&route, Some(&smaller));
    assert!(Arc::ptr_eq(&pool, &registry.pool_of(&tenant, Access::Owner).expect("the same")));
    assert_eq!((pool.limits().pool_size, pool.idle(), pool.leased()), (1, 0, 2), "idle ones go at once");
    first.release();
    assert_eq!((pool.idle(), pool.leased()), (0, 1), "beyond the limit");
    second.release();
    assert_eq!((pool.idle(), pool.leased()), (1, 0));
}

#[tokio::test]
async fn long_holds_end_with_their_leases() {
    let (pool, _servers) = pool(2, limits(3)).await;
    let (mut first, mut second) = (pool.checkout_now().expect("idle"), pool.checkout_now().expect("idle"));
    // Of a budget of three, two may be held for long.
    first.keep_long(LongHold::Pinned).expect("none is");
    first.keep_long(LongHold::Pinned).expect("counted once");
    second.keep_long(LongHold::Listener).expect("one is");
    assert_eq!(pool.cluster().holdings().long, [0, 1, 1]);
    let mut session = pin!(pool.checkout_for_session(A));
    assert!(poll!(&mut session).is_pending());
    first.release();
    let session = session.await.expect("a long hold and a connection are free");
    assert_eq!(pool.cluster().holdings().long, [1, 0, 1]);
    drop((second, session));
    assert_eq!(pool.cluster().holdings().long, [0, 0, 0]);
}

#[tokio::test]
async fn idle_connections_and_unused_pools_go_when_they_are_due() {
    let settings = config::PoolConfig { idle_timeout_ms: 100, ..config::GatewayConfig::default().pool };
    let registry = Arc::new(Registry::new(settings, ServerTlsSettings::default()));
    let stop = CancellationToken::new();
    let sweep = tokio::spawn(expiry::run(Arc::clone(&registry), stop.clone()));
    let route = route();
    let (pool, servers) = with_connections(&registry, 1, &route).await;
    let lease = pool.checkout_now().expect("idle");
    until("it would have been due", || pool.unused_for() > Duration::from_millis(200)).await;
    lease.release();
    assert_eq!(pool.idle(), 1, "what is in use is not idle");
    let released = Instant::now();
    until("it is closed", || pool.idle() == 0).await;
    assert!(released.elapsed() >= Duration::from_millis(100), "{:?}", released.elapsed());
    drop((pool, servers));
    until("the pool is forgotten", || registry.pools().is_empty()).await;
    stop.cancel();
    sweep.await.expect("no panic");
}

#[tokio::test]
async fn a_connection_that_grew_old_in_use_is_closed_when_it_is_given_back() {
    let settings = config::PoolConfig { max_lifetime_ms: 1, ..config::GatewayConfig::default().pool };
    let registry = Registry::new(settings, ServerTlsSettings::default());
    let (pool, _servers) = with_connections(&registry, 1, &route()).await;
    let lease = pool.checkout_now().expect("one is idle");
    until("it is old", || pool.unused_for() > Duration::from_millis(2)).await;
    lease.release();
    assert_eq!((pool.idle(), pool.leased()), (0, 0));
}

#[tokio::test]
async fn a_connection_that_nobody_may_take_asks_once_in_a_turn() {
    let (pool, _servers) = pool(1, Limits { floor: 1, ..limits(1) }).await;
    let cluster = pool.cluster();
    let terms = Terms { floor: 0, weight: WEIGHT_DEFAULT, cap: 9 };
    let other = cluster.join(TenantId::generate(), terms, Weak::new(), Glance::new(cluster.clock())).0;
    let _held = [(); 2].map(|()| cluster.permit_for(other));
    cluster.tell(|allocator| allocator.want(other, 1));
    assert!(cluster.is_short());
    let connection = pool.take_idle().expect("one is idle");
    let later = Instant::now() + TURN;
    assert!(connection.turn_lasts(later) >= TURN);
    pool.give_back(connection, later);
    let connection = pool.take_idle().expect("nobody has taken it");
    assert_eq!(connection.turn_lasts(later), Duration::ZERO);
    pool.give_back(connection, later);
}

/// Clients that come and go on several threads, some of which lose patience at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_connection_is_lost_between_clients_that_come_and_go() {
    let (pool, _servers) = pool(3, Limits { queue_limit: 100, ..limits(3) }).await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..16_u64 {
        let pool = Arc::clone(&pool);
        clients.spawn(async move {
            let mut served = 0;
            for round in 0..400_u64 {
                let patience = Duration::from_micros((client * 37 + round * 13) % 300);
                let checkout = pool.checkout(Asker::of(&(client % 3).to_string()));
                if let Ok(lease) = tokio::time::timeout(patience, checkout).await {
                    tokio::task::yield_now().await;
                    lease.expect("nothing is wrong").release();
                    served += 1;
                }
            }
            served
        });
    }
    let served: u64 = clients.join_all().await.into_iter().sum();
    assert!(served > 0);
    assert_eq!((pool.idle(), pool.leased(), pool.waiting()), (3, 0, 0));
    let holdings = pool.cluster().holdings();
    assert_eq!((holdings.held, holdings.wanted), (3, 0));
}

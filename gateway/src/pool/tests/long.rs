//! Connections that are held for longer than a transaction, and who waits to hold one.

use super::handing::{limits, with_connections};
use super::{registry, route};
use crate::pool::{Asker, CheckoutError, Keeping, LongHold, Pool, Registry};
use catalog_schema::{ClusterRecord, PlacementRecord, RouteRecord};
use futures_util::poll;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;

const A: Asker = Asker::GATEWAY;

/// Another tenant's route to the same cluster.
fn beside(route: &RouteRecord) -> RouteRecord {
    let other = super::route();
    let cluster = Arc::clone(&route.placement.as_ref().expect("placed").cluster);
    let database = format!("t_{}", other.tenant_id.to_string().replace('-', ""));
    let database = database.parse().expect("a name");
    let placement = other.placement.map(|placement| PlacementRecord { cluster, database, ..placement });
    RouteRecord { placement, ..other }
}

async fn pool_of(
    registry: &Registry,
    connections: usize,
    route: &RouteRecord,
) -> (Arc<Pool>, Vec<TcpStream>) {
    let mut route = route.clone();
    route.limits = limits(3);
    with_connections(registry, connections, &route).await
}

/// Of a budget of three, two may be held for long.
#[tokio::test]
async fn a_session_at_a_retired_pool_asks_anew_at_once_and_holds_nobody_up() {
    let (registry, route) = (registry(), route());
    let (keeper, _servers) = pool_of(&registry, 2, &route).await;
    let (retired, _none) = pool_of(&registry, 0, &beside(&route)).await;
    let (other, _server) = pool_of(&registry, 1, &beside(&route)).await;
    let kept = [(); 2].map(|()| keeper.checkout_for_session_now().expect("it may be kept"));
    let mut first = pin!(retired.checkout_for_session(A));
    let mut second = pin!(other.checkout_for_session(A));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    retired.retire();
    assert!(matches!(poll!(&mut first), Poll::Ready(Err(CheckoutError::Retired))));
    let late = poll!(pin!(retired.checkout_for_session(A)));
    assert!(matches!(late, Poll::Ready(Err(CheckoutError::Retired))));
    assert!(retired.cluster().keep_long_in_turn(retired.member(), 1, LongHold::Session).await.is_none());
    drop(kept);
    let served = second.await.expect("nobody is before it");
    assert!(served.is_long());
}

#[tokio::test]
async fn a_session_that_waits_at_a_closed_gate_is_told_so() {
    let (pool, _servers) = pool_of(&registry(), 2, &route()).await;
    let _kept = [(); 2].map(|()| pool.checkout_for_session_now().expect("it may be kept"));
    let mut waiting = pin!(pool.checkout_for_session(A));
    assert!(poll!(&mut waiting).is_pending());
    pool.hold_back();
    assert!(matches!(poll!(&mut waiting), Poll::Ready(Err(CheckoutError::HeldBack))));
}

#[tokio::test]
async fn a_connection_that_is_kept_for_something_else_keeps_its_place() {
    let (pool, _servers) = pool_of(&registry(), 3, &route()).await;
    let [mut first, _second] = [(); 2].map(|()| pool.checkout_for_session_now().expect("it may be kept"));
    let mut waiting = pin!(pool.checkout_for_session(A));
    assert!(poll!(&mut waiting).is_pending());
    first.keep_long(LongHold::Pinned).expect("it has a place");
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!(pool.cluster().holdings().long, [1, 1, 0]);
    first.release();
    waiting.await.expect("one place is free");
    assert_eq!(pool.cluster().holdings().long, [1, 0, 0]);
}

/// Of three, two may be kept; of four, three.
#[tokio::test]
async fn who_has_a_connection_may_keep_it_once_there_are_more() {
    let (pool, _servers) = pool_of(&registry(), 3, &route()).await;
    let cluster = pool.cluster();
    let record = ClusterRecord::clone(&cluster.record());
    cluster.set_limit(3);
    cluster.update(&ClusterRecord { version: record.version + 1, connection_budget: 4, ..record });
    let _kept = [(); 2].map(|()| pool.checkout_for_session_now().expect("it may be kept"));
    let mut third = pool.checkout_now().expect("idle");
    third.keep_long(LongHold::Pinned).expect_err("as many are kept as may be");
    let mut keeping = Keeping::ask(&third, LongHold::Pinned);
    assert!(poll!(&mut keeping).is_pending());
    assert_eq!(pool.cluster().demand().wanted, 4, "more is asked for");
    pool.cluster().set_limit(4);
    third.keep_with(keeping.await.expect("there are more"));
    assert_eq!(pool.cluster().holdings().long, [2, 1, 0]);
}

#[tokio::test]
async fn who_may_not_keep_a_connection_in_the_end_is_refused_and_leaves_no_trace() {
    let (pool, _servers) = pool_of(&registry(), 3, &route()).await;
    let _kept = [(); 2].map(|()| pool.checkout_for_session_now().expect("it may be kept"));
    let third = pool.checkout_now().expect("idle");
    assert!(Keeping::ask(&third, LongHold::Pinned).await.is_err());
    assert_eq!((pool.cluster().demand().wanted, pool.waiting_in_all()), (3, 0));
}

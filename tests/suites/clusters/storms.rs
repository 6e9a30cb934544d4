//! Everybody at once.

use crate::{HERE, PATIENT_MS, World, all_ask, logins};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TENANTS: usize = 24;
const CLIENTS_EACH: usize = 3;
const LOGINS_AT_ONCE: u32 = 2;

/// A server that comes back finds all its tenants at the door, and is asked for a few logins at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_not_stormed() {
    let mut world = World::start(|gateway| {
        gateway.pool.logins_at_once = LOGINS_AT_ONCE;
        gateway.pool.outage_patience_ms = PATIENT_MS.into();
    })
    .await;
    let mut clients = Vec::new();
    for number in 0..TENANTS {
        let tenant = world.tenant(&format!("storming-{number}"), "three").await;
        clients.extend(logins(&tenant, CLIENTS_EACH).await);
    }
    world.stack.cluster(HERE).expect("a cluster").kill().await.expect("it is killed");
    let before = world.logins("succeeded").await;
    let asking = all_ask(clients);
    let all_wait = async || {
        world.stack.metric("tenantry_pool_waiting_clients", &[]).await >= f64::from(TENANTS_AND_CLIENTS)
    };
    harness::wait_until("all wait", all_wait).await;

    world.stack.cluster(HERE).expect("a cluster").start_again().await.expect("it comes back");
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = watch(&world, &is_over);
    let answered = async {
        let clients = asking.join_all().await;
        is_over.store(true, Ordering::Release);
        clients
    };
    let (most, clients) = tokio::join!(watching, answered);
    assert!(most <= f64::from(LOGINS_AT_ONCE), "{most} logins at once");
    let succeeded = world.logins("succeeded").await - before;
    assert!((24.0..=72.0).contains(&succeeded), "{succeeded} logins for {TENANTS} pools of three");
    drop(clients);
    world.ends_well().await;
}

/// Clients that wait, all together.
const TENANTS_AND_CLIENTS: u32 = 72;

/// The most logins under way that anybody saw.
async fn watch(world: &World, is_over: &AtomicBool) -> f64 {
    let mut most = 0.0_f64;
    while !is_over.load(Ordering::Acquire) {
        let under_way = ["cluster=\"eu-1\""];
        most = most.max(world.stack.metric("tenantry_cluster_logins_under_way", &under_way).await);
    }
    most
}

//! Many pipelining clients on one or two connections: every row carries its client's and its request's mark.
//!
//! Clients vanish in the middle of everything and cancel what they are doing; with little time for a check-out
//! most are refused. The test that is not run by itself goes on until millions of answers were read:
//! `make storm ANSWERS=10000000`.

mod client;
mod requests;

use crate::{STACK, tenant};
use client::{Bounds, Score, storm_client};
use harness::{Stack, wait_until};
use std::sync::Arc;
use std::time::Instant;

const CLIENTS: usize = 200;

/// Answers of a run that is to find what seconds do not.
const MANY: u64 = 10_000_000;

/// Lets clients ask until this many answers were read or, where many are refused, until some time has passed.
async fn storm(stack: &Stack, slug: &str, plan: &str, clients: usize, bounds: Bounds) -> Score {
    let tenant = Arc::new(tenant(stack, slug, plan).await);
    assert!(
        stack.metrics().await.contains("tenantry_gateway_out_of_sync_total"),
        "the metric has another name"
    );
    let before = stack.metric("tenantry_gateway_out_of_sync_total", &[]).await;
    let score = Arc::<Score>::default();
    let tasks: Vec<_> = (0..clients)
        .map(|id| tokio::spawn(storm_client(Arc::clone(&tenant), id, bounds, Arc::clone(&score))))
        .collect();
    for task in tasks {
        task.await.expect("no client met a stranger's answer");
    }
    assert_eq!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await, before, "replies out of sync");
    let labels = [format!("tenant=\"{slug}\"")];
    let labels = [labels[0].as_str()];
    wait_until("nobody waits and nobody is connected", async || {
        stack.metric("tenantry_pool_waiting_clients", &labels).await == 0.0
            && stack.metric("tenantry_clients", &labels).await == 0.0
            && stack.metric("tenantry_pool_connections", &[labels[0], "state=\"active\""]).await == 0.0
    })
    .await;
    Arc::into_inner(score).expect("all clients have ended")
}

const fn until(answers: u64) -> Bounds {
    Bounds { answers, rounds: u64::MAX }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pipelining_clients_share_one_connection_and_meet_no_stranger() {
    let score = storm(&STACK, "storm", "single", CLIENTS, until(4_000)).await;
    assert!(score.cancelled() > 0, "{score:?}: nobody was cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pipelining_clients_share_two_connections_and_meet_no_stranger() {
    storm(&STACK, "double-storm", "pair", CLIENTS, until(4_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_under_saturation_never_shift_a_reply() {
    let bounds = Bounds { answers: u64::MAX, rounds: 12 };
    let score = storm(&STACK, "hasty-storm", "hasty", CLIENTS / 2, bounds).await;
    assert!(score.answered() > 0 && score.refused() > 0, "{score:?}: the test did not saturate");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour; make storm"]
async fn a_long_storm() {
    let answers = std::env::var("ANSWERS").ok().map_or(MANY, |text| text.parse().expect("a number"));
    let plans = ["single", "pair", "hasty"];
    let each = answers / 5;
    for (plan, share) in plans.into_iter().zip([2 * each, 2 * each, each]) {
        let started = Instant::now();
        let score = storm(&STACK, &format!("long-{plan}"), plan, CLIENTS, until(share)).await;
        println!("{plan}: {score:?}, strangers 0, {} s", started.elapsed().as_secs());
    }
}

//! One cluster's connection budget, shared by several gateways: the server never sees more connections than it
//! allows, whatever becomes of gateways and of the catalog, and who has work gets what the others do not need. [`rates`]
//! has the same for a tenant's rate of requests.

mod fleet;
mod idle;
mod keeping;
mod rates;

use fleet::{CLUSTER, Entry, OwnProcess, Watch, Work};
use harness::{eventually, wait_until};
use reqwest::Method;
use serde_json::json;
use tenantry::client::path;
use tokio::sync::Mutex;

/// One of them stays free for a gateway that starts.
const BUDGET: u32 = 21;

/// Each has many processes, and a machine may have two processors.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn assert_within(most: i64, budget: u32) {
    assert!(most <= i64::from(budget), "the server saw {most} connections, the budget is {budget}");
}

async fn failed_logins(entries: &[Entry]) -> f64 {
    let mut failed = 0.0;
    for entry in entries {
        failed += entry.metric_of("tenantry_cluster_logins_total", "failed").await.expect("it answers");
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_share_a_budget_and_the_server_never_sees_one_connection_more() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, tenants) = fleet::stack(BUDGET).await;
    fleet::hold_server_to_its_budget(&mut stack).await;
    let entries = [Entry::of(&stack), Entry::another(&mut stack).await, Entry::another(&mut stack).await];
    let watch = Watch::start(&stack).await;
    let mut working = vec![Work::start(&entries[0], &tenants).await];
    // The others have no work, and keep no more than what they need to start with.
    entries[0].has_share_of(f64::from(BUDGET / 2)).await;
    let failed = failed_logins(&entries).await;
    for entry in &entries[1..] {
        working.push(Work::start(entry, &tenants).await);
    }
    for entry in &entries {
        entry.has_share_of(6.0).await;
    }
    wait_until("nearly everything is used", async || watch.now() >= i64::from(BUDGET) - 3).await;
    for work in working {
        work.stop().await;
    }
    assert_within(watch.stop().await, BUDGET);
    assert_eq!(fleet::refused_by_server(&mut stack), 0, "the server refused one connection too many");
    assert_eq!(failed_logins(&entries).await, failed, "the server refused a connection");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_cut_off_keeps_to_its_floor_and_a_dead_one_leaves_the_rest_to_others_and_its_floor_once_forgotten()
 {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (stack, tenants) = fleet::stack(BUDGET).await;
    let (other, mut victim) = (Entry::of(&stack), OwnProcess::start(&stack).await);
    let watch = Watch::start(&stack).await;
    let working = Work::start(&other, &tenants).await;
    let doomed = Work::start(&victim.entry, &tenants).await;
    for entry in [&other, &victim.entry] {
        entry.has_share_of(10.0).await;
    }
    fleet::floors_are(&stack, BUDGET / 4).await;
    victim.cut_off();
    wait_until("it has only its floor", async || {
        victim.entry.metric("tenantry_cluster_share").await == Some(f64::from(BUDGET / 4))
    })
    .await;
    assert!(victim.entry.metric("tenantry_share_fallbacks_total").await >= Some(1.0));
    // Of 20, a quarter of 21 is kept for it.
    other.has_share_of(15.0).await;
    victim.mend();
    victim.entry.has_share_of(10.0).await;

    doomed.abandon();
    victim.child.kill();
    other.has_share_of(15.0).await;
    let shares = fleet::shares(&stack).await;
    assert_eq!(shares.len(), 2, "it may only be cut off: {shares:#?}");
    // Somebody who knows better says so, of the one and not of all that have its name.
    let gateways = stack.client().list(&path(&["gateways"])).await.expect("listed");
    let dead = gateways.iter().max_by_key(|gateway| gateway["started_at"].as_str().map(str::to_owned));
    let id = dead.and_then(|gateway| gateway["id"].as_str()).expect("an id").to_owned();
    let forgotten = eventually("it is silent for long enough", async || {
        stack.client().change(Method::DELETE, &path(&["gateways", &id]), None).await.ok()
    })
    .await;
    assert_eq!(forgotten["forgotten"].as_array().map(Vec::len), Some(1), "{forgotten:#}");
    other.has_share_of(18.0).await;
    working.stop().await;
    assert_within(watch.stop().await, BUDGET);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_gives_its_share_back_at_once() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (stack, tenants) = fleet::stack(BUDGET).await;
    let (stays, mut leaves) = (Entry::of(&stack), OwnProcess::start(&stack).await);
    let working = Work::start(&stays, &tenants).await;
    let leaving = Work::start(&leaves.entry, &tenants).await;
    leaves.entry.has_share_of(10.0).await;
    leaving.stop().await;
    leaves.child.terminate();
    assert_eq!(leaves.child.exit_code().await, Some(0));
    let gateways = stack.client().list(&path(&["gateways"])).await.expect("listed");
    assert_eq!(gateways.len(), 1, "it has signed off: {gateways:#?}");
    // More than while anything was kept for another.
    stays.has_share_of(18.0).await;
    working.stop().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_goes_and_comes_and_the_budget_changes_under_load_and_nobody_notices() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, tenants) = fleet::stack(BUDGET).await;
    let entries = [Entry::of(&stack), Entry::another(&mut stack).await];
    let watch = Watch::start(&stack).await;
    let mut working = Vec::new();
    for entry in &entries {
        working.push(Work::start(entry, &tenants).await);
    }
    wait_until("nearly everything is used", async || watch.now() >= i64::from(BUDGET) - 3).await;
    fleet::floors_are(&stack, BUDGET / 4).await;
    stack.catalog().kill().await.expect("the catalog is killed");
    for entry in &entries {
        wait_until("only floors are used", async || {
            entry.metric("tenantry_cluster_share").await == Some(f64::from(BUDGET / 4))
        })
        .await;
    }
    stack.catalog().start_again().await.expect("it comes up again");
    for entry in &entries {
        entry.has_share_of(10.0).await;
    }
    assert_within(watch.most(), BUDGET);
    for budget in [8, 7, 30] {
        let body = json!({ "connection_budget": budget });
        stack.must(Method::PATCH, &path(&["clusters", CLUSTER]), Some(&body)).await;
        if budget < BUDGET {
            wait_until("the server sees fewer", async || watch.now() <= i64::from(budget)).await;
            watch.most();
        } else {
            // Before, it never went above the lower one again.
            wait_until("the server sees more", async || watch.now() >= i64::from(BUDGET)).await;
            assert_within(watch.most(), budget);
        }
    }
    for work in working {
        work.stop().await;
    }
    watch.stop().await;
    stack.stop().await;
}

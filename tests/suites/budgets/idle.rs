//! Gateways that have nothing to tell each other.

use crate::fleet::{self, Entry, HEARTBEAT_MS, Work};
use crate::{BUDGET, ONE_AT_A_TIME};
use harness::{Stack, eventually, wait_until};
use tokio_postgres::{Client, NoTls};

/// Heartbeats over which renewals are counted.
const HEARTBEATS: i64 = 8;

/// Renewals beyond one for each heartbeat: one heartbeat may be under way at either end of the time that is looked at.
const BEYOND: i64 = 2;

/// How often gateways have renewed their leases so far, and for how long the catalog has been counting heartbeats.
const RENEWED: &str = "select sum(beat)::bigint, count(*),
  (extract(epoch from clock_timestamp()) * 1000)::bigint / $1 from catalog.gateways";

async fn catalog(stack: &Stack) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&stack.descriptor().catalog_dsn, NoTls).await.expect("the catalog answers");
    tokio::spawn(connection);
    client
}

/// Renewals of both gateways, and heartbeats that one of them may have had, since some time in the past.
async fn renewals_and_heartbeats(catalog: &Client) -> (i64, i64) {
    let interval = i64::try_from(HEARTBEAT_MS).expect("small");
    let row = catalog.query_one(RENEWED, &[&interval]).await.expect("the catalog answers");
    assert_eq!(row.get::<_, i64>(1), 2, "two gateways are on record");
    (row.get(0), row.get(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_without_work_renew_their_leases_with_their_heartbeats_and_no_more_often() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, tenants) = fleet::stack(BUDGET).await;
    let entries = [Entry::of(&stack), Entry::another(&mut stack).await];
    // Both had work, and hold connections that are idle now.
    let mut working = Vec::new();
    for entry in &entries {
        working.push(Work::start(entry, &tenants).await);
        entry.has_share_of(5.0).await;
    }
    for work in working {
        work.stop().await;
    }
    fleet::floors_are(&stack, BUDGET / 4).await;
    wait_until("nobody wants anything", async || {
        let shares = fleet::shares(&stack).await;
        shares.len() == 2 && shares.iter().all(|share| share["wanted"] == 0)
    })
    .await;
    let catalog = catalog(&stack).await;
    let (renewals_before, heartbeats_before) = renewals_and_heartbeats(&catalog).await;
    let (renewals, heartbeats) = eventually("they have renewed their leases some times", async || {
        let (renewals, heartbeats) = renewals_and_heartbeats(&catalog).await;
        let renewals = renewals - renewals_before;
        (renewals >= 2 * HEARTBEATS).then_some((renewals, heartbeats - heartbeats_before))
    })
    .await;
    let most = 2 * (heartbeats + BEYOND);
    assert!(renewals <= most, "{renewals} renewals of two gateways in {heartbeats} heartbeats");
    stack.stop().await;
}

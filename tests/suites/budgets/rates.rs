//! A tenant's rate, over two gateways: together they let no more through than one would, each has its share while it is
//! asked, and who is asked alone has all.

use crate::ONE_AT_A_TIME;
use crate::fleet::{self, Entry};
use harness::{Stack, Tenant, wait_until};
use serde_json::json;
use std::time::Instant;
use suites::flood::Flood;
use suites::plans;
use tenancy::Limits;
use tokio_postgres::Client;

const RATE: u32 = 40;
const BURST: u32 = 10;

/// Clients at each gateway.
const CLIENTS: usize = 8;

/// The whole of a rate, in the parts that the catalog counts in.
const WHOLE: i32 = 1_000_000;

async fn limited(stack: &Stack) -> Tenant {
    let limits =
        Limits { requests_per_second: RATE, request_burst: BURST, ..plans::limits(5, 100, 100, 60_000) };
    plans::add(stack, "limited", limits).await;
    stack.create_tenant_with(json!({ "slug": "limited", "region": "eu", "plan": "limited" })).await
}

/// What the catalog has told gateways of the tenant's rate.
async fn shares(catalog: &Client, tenant: &Tenant) -> Vec<i32> {
    let sql = "select share from catalog.rate_leases where tenant_id = $1::text::uuid order by gateway_id";
    let rows = catalog.query(sql, &[&tenant.id]).await.expect("the catalog answers");
    rows.iter().map(|row| row.get(0)).collect()
}

/// More than `count` requests are served by each of them from now on, and by all of them together no more than the tenant
/// may begin: what is heard of now may have begun before.
async fn are_served(floods: &[&Flood], count: u64) {
    let before: Vec<u64> = floods.iter().map(|flood| flood.served()).collect();
    let since = || floods.iter().zip(&before).map(|(flood, before)| flood.served() - before);
    let started = Instant::now();
    wait_until("each gateway serves the tenant", async || since().all(|served| served > count)).await;
    let served: u64 = since().sum();
    let under_way = u64::try_from(floods.len() * CLIENTS).expect("few");
    let seconds = started.elapsed().as_secs() + 1;
    let most = u64::from(BURST) + u64::from(RATE) * seconds + under_way;
    assert!(served <= most, "{served} were served in {seconds} s, where {most} may be");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_let_no_more_of_a_tenants_rate_through_than_one() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut stack, _) = fleet::stack(21).await;
    let tenant = limited(&stack).await;
    let entries = [Entry::of(&stack), Entry::another(&mut stack).await];
    let catalog = stack.catalog_admin().await;
    let shares = async || shares(&catalog, &tenant).await;

    let first = Flood::start(&entries[0].through(&tenant), CLIENTS, "select 1").await;
    wait_until("who is asked alone has all", async || shares().await == [WHOLE]).await;
    let second = Flood::start(&entries[1].through(&tenant), CLIENTS, "select 1").await;
    wait_until("both have half", async || shares().await == [WHOLE / 2, WHOLE / 2]).await;
    are_served(&[&first, &second], 150).await;

    second.stop().await;
    wait_until("who is asked alone has all again", async || shares().await == [WHOLE]).await;
    are_served(&[&first], 200).await;

    let second = Flood::start(&entries[1].through(&tenant), CLIENTS, "select 1").await;
    wait_until("both have half again", async || shares().await == [WHOLE / 2, WHOLE / 2]).await;
    are_served(&[&first, &second], 50).await;
    first.stop().await;
    second.stop().await;
    stack.stop().await;
}

//! Bytes for each tenant, credential and warm pool, by counting allocations.

use crate::ALLOCATED;
use harness::{Stack, wait_until};
use suites::crowd;
use tenantry::dev::StackOptions;

/// The bounds, some twice of what was measured (docs/benchmarks.md).
const KNOWN_TENANT_MAX: usize = 6 * 1024;
const WARM_TENANT_MAX: usize = 64 * 1024;
const CREDENTIAL_MAX: usize = 4 * 1024;

const KNOWN: usize = 2_000;
const WARM: usize = 12;
const CREDENTIALS: usize = 10_000;

/// What is allocated now and not freed.
fn held() -> usize {
    let stats = ALLOCATED.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn each(before: usize, after: usize, count: usize) -> usize {
    after.saturating_sub(before) / count
}

/// One test, because all tests of a process share its allocator.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_credentials_and_pools_are_small() {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let mut tenants = Vec::new();
    for number in 0..=WARM {
        tenants.push(stack.create_tenant(&format!("warm-{number}"), "eu").await);
    }
    let crowd = crowd::add(&stack, KNOWN).await;
    crowd::add_users(&stack, "warm-0", i32::try_from(CREDENTIALS).expect("few")).await;
    stack.stop_control_plane().await.expect("it stops");
    // One that knows nobody.
    stack.start_gateway().await.expect("it starts");
    let admin = stack.descriptor().gateway.admin.clone();
    let slugs: Vec<String> = tenants.iter().map(|tenant| tenant.slug.clone()).collect();
    crowd::look_up(&admin, &slugs[1..]).await;

    // What a scrape remembers of each belongs to it.
    stack.metrics().await;
    let before = held();
    crowd::look_up(&admin, &crowd).await;
    stack.metrics().await;
    let known = each(before, held(), KNOWN);

    let before = held();
    crowd::look_up(&admin, &slugs[..1]).await;
    let credential = each(before, held(), CREDENTIALS);

    // The first brings what all pools of a cluster share.
    let (first, rest) = tenants[1..].split_first().expect("some");
    first.connect().await.simple_query("select 1").await.expect("an answer");
    let before = held();
    for tenant in rest {
        tenant.connect().await.simple_query("select 1").await.expect("an answer");
    }
    wait_until("only pools are left", async || stack.metric("tenantry_gateway_clients", &[]).await == 0.0)
        .await;
    let warm = each(before, held(), rest.len());

    println!("bytes: known tenant {known}, credential {credential}, warm tenant {warm} beside that");
    assert!(known <= KNOWN_TENANT_MAX, "{known} bytes for each known tenant");
    assert!(credential <= CREDENTIAL_MAX, "{credential} bytes for each credential");
    assert!(warm <= WARM_TENANT_MAX, "{warm} bytes for each warm tenant");
    stack.stop().await;
}

//! A purged tenant is gone: its database, its role, its secrets, its metrics. A tombstone is left.

use super::login;
use harness::wire::WireClient;
use harness::{Physical, SharedStack, Stack, Tenant, wait_until};
use reqwest::Method;
use serde_json::Value;
use std::sync::LazyLock;
use tenantry::client::path;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// Whether a cluster has the database, and the role.
async fn exists(physical: &Physical) -> (bool, bool) {
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let query = "select exists (select from pg_database where datname = $1),
        exists (select from pg_roles where rolname = $2)";
    let row = admin.query_one(query, &[&physical.database, &physical.role]).await.expect("an answer");
    (row.get(0), row.get(1))
}

async fn has_series(slug: &str) -> bool {
    STACK.metrics().await.contains(&format!("tenant=\"{slug}\""))
}

async fn assert_unknown(tenant: &Tenant) {
    let error = tenant.try_connect().await.expect_err("its password opens nothing");
    assert_eq!(error.code().map(|code| code.code()), Some("28P01"), "{error:?}");
    let (status, body) = STACK.http_query(tenant, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (401, Some("28P01")), "{body:#}");
}

#[tokio::test]
async fn nothing_of_a_purged_tenant_is_left_but_its_tombstone() {
    let tenant = STACK.create_tenant("doomed", "eu").await;
    let survivor = STACK.create_tenant("survivor", "eu").await;
    let mut client = login(&tenant).await;
    assert_eq!(client.value("select 'alive'").await, "alive");
    let physical = STACK.physical(&tenant).await;
    assert_eq!(exists(&physical).await, (true, true));
    wait_until("the tenant has its series", async || has_series("doomed").await).await;

    STACK.delete_tenant("doomed").await;
    assert_eq!(exists(&physical).await, (false, false));
    assert!(client.query("select 1").await.is_err(), "its clients are sent away");
    assert_unknown(&tenant).await;
    wait_until("its series are gone", async || !has_series("doomed").await).await;
    assert_tombstone(&tenant, &physical).await;
    assert_eq!(login(&survivor).await.value("select 'well'").await, "well");
}

async fn assert_tombstone(tenant: &Tenant, physical: &Physical) {
    let catalog = STACK.catalog_admin().await;
    let query = "select slug, evidence::text from catalog.tombstones where tenant_id = $1::text::uuid";
    let row = catalog.query_one(query, &[&tenant.id]).await.expect("a tombstone");
    assert_eq!(row.get::<_, String>(0), tenant.slug);
    let evidence: Value = serde_json::from_str(&row.get::<_, String>(1)).expect("JSON");
    let removed = evidence["removed"].as_array().expect("what was removed");
    assert_eq!(removed.len(), 4, "a database and three roles: {evidence:#}");
    assert!(removed.iter().any(|item| item["name"] == *physical.database), "{evidence:#}");
    assert!(
        removed.iter().all(|item| item["oid"].is_u64() && item["dropped_at"].is_string()),
        "{evidence:#}"
    );
    for left in ["placements", "credentials", "slug_aliases"] {
        let query = format!("select count(*) from catalog.{left} where tenant_id = $1::text::uuid");
        let row = catalog.query_one(&query, &[&tenant.id]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 0, "{left}");
    }
}

/// Whoever takes the name next inherits nothing: no data, no password, no physical name.
#[tokio::test]
async fn the_next_tenant_of_that_name_is_another_one() {
    let first = STACK.create_tenant("reborn", "eu").await;
    first
        .connect()
        .await
        .batch_execute("create table secrets as select 'old'::text as t")
        .await
        .expect("made");
    let before = STACK.physical(&first).await;
    let mut idle = login(&first).await;
    STACK.delete_tenant("reborn").await;
    let second = STACK.create_tenant("reborn", "eu").await;
    let after = STACK.physical(&second).await;
    assert_ne!((&before.database, &before.role), (&after.database, &after.role));
    assert_ne!(first.id, second.id);
    assert_unknown(&first).await;
    let error =
        second.connect().await.batch_execute("select * from secrets").await.expect_err("no such table");
    assert_eq!(error.code().map(|code| code.code()), Some("42P01"));
    assert!(idle.query("select 1").await.is_err(), "a client of the first is not one of the second");

    let ledger = "select count(distinct name), count(dropped_at) from catalog.physical_names
        where name in ($1, $2)";
    let row = STACK.catalog_admin().await;
    let row = row.query_one(ledger, &[&before.database, &after.database]).await.expect("the ledger");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 2), "both names stay in the ledger");
}

#[tokio::test]
async fn an_open_transaction_does_not_stop_a_purge() {
    let tenant = STACK.create_tenant("clinging", "us").await;
    let mut client = login(&tenant).await;
    client.query("begin; create table t (n int); lock table t").await.expect("served");
    let mut sleeper = login(&tenant).await;
    let mut query = Vec::new();
    pgwire::frontend::write::query(&mut query, b"select pg_sleep(3600)").expect("it fits");
    sleeper.send(&query).await.expect("sent");
    let physical = STACK.physical(&tenant).await;
    STACK.delete_tenant("clinging").await;
    assert_eq!(exists(&physical).await, (false, false));
    assert!(client.query("commit").await.is_err_and(|error| error.kind() != std::io::ErrorKind::TimedOut));
    assert!(sleeper.until_end().await.is_ok(), "it hears of its end");
}

#[tokio::test]
async fn a_rehearsal_of_a_purge_changes_nothing() {
    let tenant = STACK.create_tenant("rehearsed", "eu").await;
    let physical = STACK.physical(&tenant).await;
    let plan = format!("{}?dry_run=true", path(&["tenants", "rehearsed"]));
    let plan = STACK.must(Method::DELETE, &plan, None).await;
    assert!(plan.to_string().contains(&physical.database), "{plan:#}");
    assert_eq!(exists(&physical).await, (true, true));
    assert_eq!(login(&tenant).await.value("select 'alive'").await, "alive");
}

#[tokio::test]
async fn a_suspended_tenant_can_be_purged() {
    let tenant = STACK.create_tenant("resting", "eu").await;
    let physical = STACK.physical(&tenant).await;
    STACK.change_state("resting", "suspend").await;
    STACK.delete_tenant("resting").await;
    assert_eq!(exists(&physical).await, (false, false));
    assert_unknown(&tenant).await;
}

#[tokio::test]
async fn a_tenants_use_is_counted_under_its_name() {
    let tenant = STACK.create_tenant("metered", "eu").await;
    let labels = ["tenant=\"metered\""];
    let mut client = login(&tenant).await;
    let before = STACK.metric("tenantry_transactions_total", &labels).await;
    for _ in 0..10 {
        client.query("select 1").await.expect("served");
    }
    wait_until("ten transactions are counted", async || {
        STACK.metric("tenantry_transactions_total", &labels).await >= before + 10.0
    })
    .await;
    assert!(STACK.metric("tenantry_relay_bytes_total", &labels).await > 0.0);
    assert!(STACK.metric("tenantry_pool_checkouts_total", &labels).await >= 10.0);
    assert_eq!(STACK.metric("tenantry_pool_size", &labels).await, 20.0, "the standard plan's");
    assert_eq!(STACK.metric("tenantry_clients", &labels).await, 1.0);
    // The name moves with the tenant, and takes its counts along.
    let body = serde_json::json!({ "slug": "metered-anew" });
    STACK.must(Method::PATCH, &path(&["tenants", "metered"]), Some(&body)).await;
    wait_until("the series bear the new name", async || {
        has_series("metered-anew").await && !has_series("metered").await
    })
    .await;
    assert!(STACK.metric("tenantry_transactions_total", &["tenant=\"metered-anew\""]).await >= before + 10.0);
    drop(WireClient::login(&tenant.config()).await.expect("the old name still leads there"));
}

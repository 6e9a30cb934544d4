//! The catalog or a cluster is away. Each test stops servers, so each has a stack of its own.

use super::{error_of, farewell, login, run};
use harness::{Stack, Tenant, eventually, wait_until};
use pgwire::backend::TransactionStatus;
use pgwire::frontend::write;
use reqwest::Method;
use serde_json::json;
use suites::settled::answer_in_the_end;
use tenantry::client::path;
use tenantry::dev::StackOptions;

async fn sqlstate_of_refusal(tenant: &Tenant) -> Option<String> {
    let error = tenant.try_connect().await.err()?;
    Some(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()))
}

async fn readiness(stack: &Stack) -> u16 {
    let url = format!("{}/readyz", stack.descriptor().gateway.admin);
    reqwest::get(url).await.expect("the admin listener answers").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_tenants_are_served_while_the_catalog_is_away() {
    let mut stack = Stack::start().await;
    let known = stack.create_tenant("known", "eu").await;
    let forgotten =
        Tenant { connection_string: known.connection_string.replace("/known", "/late"), ..known.clone() };
    let mut open = login(&known).await;
    stack.catalog().kill().await.expect("the catalog is killed");
    let connected = async |stack: &Stack| stack.metric("tenantry_catalog_connected", &[]).await;
    wait_until("the gateway has noticed", async || connected(&stack).await == 0.0).await;

    assert_eq!(open.value("select 'open'").await, "open");
    for _ in 0..20 {
        assert_eq!(login(&known).await.value("select 'new'").await, "new");
    }
    let (status, body) = stack.http_query(&known, "select 1", &[]).await;
    assert_eq!(status, 200, "{body:#}");
    // Also when no server connection is left to take over.
    stack.cluster("eu-1").expect("a cluster").restart().await.expect("it comes back");
    assert_eq!(login(&known).await.value("select 'fresh'").await, "fresh");
    assert_eq!(sqlstate_of_refusal(&forgotten).await.as_deref(), Some("57P03"), "an unknown tenant");
    let key = Tenant { api_key: "tnt_never-seen".to_owned(), ..known.clone() };
    let (status, body) = stack.http_query(&key, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("57P03")), "{body:#}");
    assert_eq!(readiness(&stack).await, 200);

    stack.catalog().start_again().await.expect("the catalog comes back");
    let late = stack.create_tenant("late", "us").await;
    assert_eq!(login(&late).await.value("select 'late'").await, "late");
    wait_until("the gateway follows again", async || connected(&stack).await == 1.0).await;
    stack.change_state("known", "suspend").await;
    assert_eq!(farewell(&mut open).await, "57P03");
    stack.stop().await;
}

/// What is changed in the catalog while the gateway cannot hear of it is in force when it can again.
#[tokio::test(flavor = "multi_thread")]
async fn changes_made_unheard_are_caught_up_with() {
    let mut stack = Stack::start().await;
    let tenants = [stack.create_tenant("renamed", "eu").await, stack.create_tenant("revoked", "eu").await];
    stack.catalog().restart().await.expect("the catalog comes back");
    // Whether the gateway is back by now is left to chance.
    let body = json!({ "slug": "renamed-unheard" });
    let renamed = async || {
        let path = path(&["tenants", &tenants[0].id]);
        stack.client().change(Method::PATCH, &path, Some(&body)).await.ok()
    };
    eventually("the control plane is back", renamed).await;
    let revoke = "update catalog.credentials set revoked_at = now() where tenant_id = $1::text::uuid";
    stack.catalog_admin().await.execute(revoke, &[&tenants[1].id]).await.expect("an administrator may");
    let new_name = tenants[0].connection_string.replace("/renamed", "/renamed-unheard");
    let by_new_name = Tenant { connection_string: new_name, ..tenants[0].clone() };
    eventually("the new name is known", async || by_new_name.try_connect().await.ok()).await;
    let refused = async || sqlstate_of_refusal(&tenants[1]).await;
    assert_eq!(eventually("revoked", refused).await, "28P01");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_without_the_catalog_serves_once_it_is_there() {
    let mut stack = Stack::start().await;
    let tenant = stack.create_tenant("patient", "eu").await;
    stack.catalog().kill().await.expect("the catalog is killed");
    stack.start_gateway().await.expect("a gateway starts without its catalog");
    assert_eq!(sqlstate_of_refusal(&tenant).await.as_deref(), Some("57P03"));
    assert_eq!(readiness(&stack).await, 503);
    stack.catalog().start_again().await.expect("the catalog comes back");
    wait_until("it is ready", async || readiness(&stack).await == 200).await;
    assert_eq!(login(&tenant).await.value("select 'served'").await, "served");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_restarts_and_only_what_ran_there_is_lost() {
    let mut stack = Stack::start().await;
    let (here, there) = (stack.create_tenant("here", "eu").await, stack.create_tenant("there", "us").await);
    let (mut idle, mut elsewhere) = (login(&here).await, login(&there).await);
    let (mut in_transaction, mut in_flight) = (login(&here).await, login(&here).await);
    run(&mut in_transaction, "create table t (n int)").await;
    run(&mut in_transaction, "begin; insert into t values (1)").await;
    assert_eq!(run(&mut elsewhere, "begin").await, TransactionStatus::InTransaction);
    let mut query = Vec::new();
    write::query(&mut query, b"select pg_sleep(3600)").expect("it fits");
    in_flight.send(&query).await.expect("sent");
    let labels = ["tenant=\"here\"", "state=\"active\""];
    wait_until("the query runs", async || stack.metric("tenantry_pool_connections", &labels).await >= 2.0)
        .await;

    stack.cluster("eu-1").expect("a cluster").restart().await.expect("it comes back");
    for client in [&mut in_transaction, &mut in_flight] {
        let words = client.until_end().await.expect("an orderly end");
        assert_eq!(error_of(&words), "57P01", "the server's own words, and no others");
    }
    assert_eq!(idle.value("select 'served by a new connection'").await, "served by a new connection");
    assert_eq!(login(&here).await.value("select count(*) from t").await, "0");
    assert_eq!(run(&mut elsewhere, "commit").await, TransactionStatus::Idle);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_refuses_its_own_tenants_only() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.pool.outage_patience_ms = 500);
    let mut stack = Stack::start_with(options).await;
    let (here, there) = (stack.create_tenant("dead", "eu").await, stack.create_tenant("living", "us").await);
    let (mut idle, mut busy) = (login(&here).await, login(&here).await);
    run(&mut busy, "begin").await;
    stack.cluster("eu-1").expect("a cluster").kill().await.expect("it is killed");
    let words = busy.until_end().await.expect("an orderly end");
    // A backend may notice that its postmaster has died before it is killed itself, and say so.
    let sqlstate = error_of(&words);
    assert!(["08006", "57P01"].contains(&&*sqlstate), "{sqlstate}");
    let answer = idle.query("select 1").await.expect("an error leaves the client connected");
    assert_eq!(error_of(&answer), "08006");
    let (status, body) = stack.http_query(&here, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("08006")), "{body:#}");
    assert_eq!(login(&there).await.value("select 'well'").await, "well");
    assert_eq!(readiness(&stack).await, 200);

    stack.cluster("eu-1").expect("a cluster").start_again().await.expect("it comes back");
    assert_eq!(answer_in_the_end(&mut idle, "select 'the same client'").await, "the same client");
    let used = async || stack.metric("tenantry_cluster_connections", &["cluster=\"eu-1\""]).await;
    drop((idle, busy));
    wait_until("the permits of lost connections are back", async || used().await <= 1.0).await;
    stack.stop().await;
}

/// A server that is frozen answers nothing, not even with a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_cluster_is_given_up_in_time() {
    let options = StackOptions::ephemeral().gateway(|gateway| {
        gateway.pool.connect_timeout_ms = 500;
        gateway.pool.outage_patience_ms = 500;
    });
    let mut stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("frozen", "eu").await;
    let mut waiting = login(&tenant).await;
    stack.end_sessions(&tenant).await;
    stack.cluster("eu-1").expect("a cluster").pause();
    let answer = waiting.query("select 1").await.expect("an error leaves the client connected");
    assert_eq!(error_of(&answer), "08006");
    stack.cluster("eu-1").expect("a cluster").resume();
    assert_eq!(answer_in_the_end(&mut waiting, "select 'thawed'").await, "thawed");
    stack.stop().await;
}

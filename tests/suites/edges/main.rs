//! The rare ways: clients and servers that end in the middle of something, and messages that nobody writes.
//!
//! [`leaving`] is clients that go, [`messages`] what they can send, [`huge`] what is too large to keep, [`servers`]
//! connections to servers that break. Whatever one client does, the next one gets a clean connection: most tests have pools of one.

mod huge;
mod leaving;
mod messages;
mod servers;

use harness::wire::{Message, WireClient};
use harness::{SharedStack, Stack, Tenant, wait_until};
use pgwire::backend::tag;
use std::sync::LazyLock;
use suites::plans;
use tenantry::dev::{ClusterSpec, StackOptions};

/// How long the gateway waits for a silent server. Long enough for a login on a busy machine.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// Clusters other than the first belong to one test each, which puts a bad network in front of it.
static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let regions = [("eu-1", "eu"), ("us-1", "us"), ("ap-1", "ap"), ("sa-1", "sa")];
        let clusters = regions.map(|(name, region)| ClusterSpec::new(name, region)).to_vec();
        let timeout =
            |gateway: &mut config::GatewayConfig| gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        let stack = Stack::start_with(StackOptions::ephemeral().clusters(clusters).gateway(timeout)).await;
        plans::add(&stack, "single", plans::limits(1, 100, 100, 60_000)).await;
        stack
    })
});

/// A tenant that has one server connection, for all its clients.
async fn single(slug: &str, region: &str) -> Tenant {
    let body = serde_json::json!({ "slug": slug, "region": region, "plan": "single" });
    STACK.create_tenant_with(body).await
}

async fn login(tenant: &Tenant) -> WireClient {
    WireClient::login(&tenant.config()).await.unwrap_or_else(|refused| panic!("refused: {}", refused.text()))
}

fn error_of(messages: &[Message]) -> String {
    let mut errors = messages.iter().filter(|message| message.tag == tag::ERROR_RESPONSE);
    let error = errors.next().unwrap_or_else(|| panic!("no error: {messages:?}"));
    assert_eq!(errors.next(), None, "more than one error");
    error.sqlstate()
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let failed = messages.iter().find(|message| message.tag == tag::ERROR_RESPONSE);
    assert!(failed.is_none(), "{sql}: {}", failed.expect("an error").text());
}

/// The next client gets the tenant's only connection, and finds nothing of anybody in it.
async fn assert_next_is_clean(tenant: &Tenant, after: &str) {
    let mut next = login(tenant).await;
    let left = "select count(*) || ' prepared, '
            || (select count(*) from pg_cursors where name <> '') || ' cursors, '
            || coalesce(pg_current_xact_id_if_assigned()::text, 'no') || ' transaction'
        from pg_prepared_statements where name !~ '^__tenantry_'";
    assert_eq!(next.value(left).await, "0 prepared, 0 cursors, no transaction", "after {after}");
    assert_eq!(next.value("select count(*) from left_behind").await, "0", "after {after}");
}

/// Every connection that was opened for the tenant has been let go of, but for the one that may stay.
async fn assert_no_connection_is_lost(tenant: &Tenant) {
    wait_until("connections that were closed are gone", async || STACK.sessions(tenant).await <= 1).await;
    let labels = [format!("tenant=\"{}\"", tenant.slug), "state=\"active\"".to_owned()];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    wait_until("nobody holds one", async || STACK.metric("tenantry_pool_connections", &labels).await == 0.0)
        .await;
}

//! Whoever takes too long is told which limit that was, and holds nobody up.
//!
//! [`running`] is requests that go on for too long, [`idle`] clients that do nothing, [`transaction`] transactions. A
//! limit must not be enforced early: a test may find that out, never that one was enforced late.

mod downgraded;
mod entitled;
mod idle;
mod running;
mod transaction;

use harness::wire::{Message, WireClient};
use harness::{SharedStack, Stack, Tenant};
use std::sync::LazyLock;
use std::time::Duration;
use suites::plans;
use tenantry::dev::StackOptions;

const QUERY: Duration = Duration::from_millis(700);
const IDLE_IN_TRANSACTION: Duration = Duration::from_millis(800);
const CLIENT_IDLE: Duration = Duration::from_millis(1_000);
const PINNED_IDLE: Duration = Duration::from_millis(900);
const CANCEL_GRACE: Duration = Duration::from_millis(500);

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let options = StackOptions::ephemeral().gateway(|gateway| {
            gateway.timeouts.query_ms = milliseconds(QUERY);
            gateway.timeouts.idle_in_transaction_ms = milliseconds(IDLE_IN_TRANSACTION);
            gateway.timeouts.client_idle_ms = milliseconds(CLIENT_IDLE);
            gateway.timeouts.pinned_idle_ms = milliseconds(PINNED_IDLE);
            gateway.timeouts.cancel_grace_ms = milliseconds(CANCEL_GRACE);
        });
        Stack::start_with(options).await
    })
});

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("some seconds")
}

/// A tenant with one server connection, so that whoever comes next needs the one that is held.
async fn single(stack: &Stack, slug: &str) -> Tenant {
    plans::add(stack, "single", plans::limits(1, 100, 100, 30_000)).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": "single" })).await
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

/// In session mode.
async fn login_for_session(tenant: &Tenant) -> WireClient {
    let parameters = [("user", "app"), ("database", tenant.slug.as_str()), ("pool_mode", "session")];
    match WireClient::login_as(&tenant.config(), &parameters).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

/// The error among the messages.
fn error(messages: &[Message]) -> &Message {
    let error = messages.iter().find(|message| message.tag == b'E');
    error.unwrap_or_else(|| panic!("no error: {messages:?}"))
}

/// Somebody else is served, so the connection is free, and clean.
async fn assert_others_are_served(tenant: &Tenant) {
    let mut other = login(tenant).await;
    assert_eq!(other.value("select 'served'").await, "served");
    assert_eq!(other.value("select pg_current_xact_id_if_assigned() is null").await, "t");
}

async fn refusals(stack: &Stack, tenant: &Tenant, kind: &str) -> f64 {
    let labels = [format!("tenant=\"{}\"", tenant.slug), format!("kind=\"{kind}\"")];
    stack.metric("tenantry_errors_total", &labels.each_ref().map(String::as_str)).await
}

//! Server connections are shared, and nobody notices: no client ever gets another's bytes or session.
//!
//! [`storm`] is many clients on one connection, [`state`] and [`leaks`] what sessions leave behind, [`prepared`] statements
//! that follow their clients, [`requests`] how single requests end, [`refusals`] those that get no
//! connection, [`roles`] people of one tenant who may do different things, [`session_mode`] clients that keep theirs, [`notify`] those that listen without one,
//! [`half_closed`] those that have said their last word.

mod half_closed;
mod leaks;
mod leaks_bound;
mod leaks_hidden;
mod leaks_left;
mod leaks_look;
mod leaks_observed;
mod leaks_policy;
mod leaks_programs;
mod leaks_reset;
mod notify;
mod prepared;
mod refusals;
mod requests;
mod roles;
mod session_mode;
mod state;
mod storm;
mod welcome;

use harness::wire::WireClient;
use harness::{SharedStack, Stack, Tenant};
use std::sync::LazyLock;
use suites::plans;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// Plans of this file: how many connections, and how long to wait for one, in milliseconds.
const PLANS: [(&str, u32, u32); 4] =
    [("single", 1, 30_000), ("pair", 2, 30_000), ("few", 4, 30_000), ("hasty", 1, 60)];

async fn tenant(stack: &Stack, slug: &str, plan: &str) -> Tenant {
    let (_, pool_size, checkout_timeout_ms) =
        PLANS[PLANS.iter().position(|(name, ..)| *name == plan).expect("one of ours")];
    plans::add(stack, plan, plans::limits(pool_size, 500, 500, checkout_timeout_ms)).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": plan })).await
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn value(client: &mut WireClient, sql: &str) -> String {
    let messages = client.query(sql).await.expect("an answer");
    let row = messages.iter().find(|message| message.tag == b'D');
    row.unwrap_or_else(|| panic!("{sql} gave no row: {messages:?}")).first_column()
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

//! Prepared statements work as on a connection of one's own, though the connections are shared.
//!
//! [`unnamed`] is what is prepared once though it comes many times, [`schema`] what happens when tables change
//! under statements, [`restored`] when a client puts its settings back, [`sql`] statements prepared and given up in SQL, [`bounds`] what all of it may cost,
//! [`constants`] that they are everybody's own, [`strangers`] that nobody gets another's.

mod batch;
mod bounds;
mod constants;
mod restored;
mod schema;
mod sql;
mod strangers;
mod unnamed;

use harness::wire::WireClient;
use harness::{SharedStack, Stack, Tenant};
use std::sync::LazyLock;
use suites::plans;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// A tenant with so many server connections.
async fn tenant(stack: &Stack, slug: &str, connections: u32) -> Tenant {
    let plan = format!("with-{connections}");
    plans::add(stack, &plan, plans::limits(connections, 500, 500, 30_000)).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": plan })).await
}

async fn login(tenant: &Tenant) -> WireClient {
    login_as(tenant, &[]).await
}

/// Logs in with more in the startup packet than user and database.
async fn login_as(tenant: &Tenant, more: &[(&str, &str)]) -> WireClient {
    let config = tenant.config();
    let user = config.get_user().expect("a user");
    let database = config.get_dbname().expect("a database");
    let mut parameters = vec![("user", user), ("database", database)];
    parameters.extend_from_slice(more);
    match WireClient::login_as(&config, &parameters).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

/// Runs a simple query that has to succeed.
async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

/// A function that does what the gateway cannot see in a text: any statement of SQL.
const BEHIND: &str = "create function behind(text) returns void language plpgsql as 'begin execute $1; end'";

//! Clusters that cannot be logged in to: nobody hears an error who need not, nobody waits who need not, and tenants of
//! other clusters notice nothing.
//!
//! [`restarts`] come back, [`outages`] do not for a while, [`frozen`] servers come back where they were, [`room`] is
//! about servers without any and about what is one tenant's own trouble, [`storms`] are all tenants at once, [`rotation`] is
//! about keys and passwords that change under load.
//!
//! Each test stops, freezes or fills a server, so each has a stack of its own. Tenants of the other cluster ask all the
//! while: none of their requests may fail.

mod frozen;
mod outages;
mod restarts;
mod room;
mod rotation;
mod storms;

use config::GatewayConfig;
use harness::wire::{Message, WireClient};
use harness::{Stack, Tenant, wait_until};
use pgwire::backend::ErrorFields;
use std::collections::HashMap;
use suites::load::Load;
use suites::plans;
use suites::settled::nothing_is_lost;
use tenantry::dev::StackOptions;
use tokio::task::JoinSet;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Where things happen.
const HERE: &str = "eu-1";

/// Nobody's patience ends in a test that does not say so.
const PATIENT_MS: u32 = 60_000;

/// A stack, and a tenant on the other cluster whose clients ask all the time.
struct World {
    stack: Stack,
    spared: Load,
}

impl World {
    async fn start(adjust: impl Fn(&mut GatewayConfig) + Send + Sync + 'static) -> Self {
        Self::start_with(StackOptions::ephemeral().gateway(adjust)).await
    }

    async fn start_with(options: StackOptions) -> Self {
        let stack = Stack::start_with(options).await;
        for (name, pool_size) in [("one", 1), ("three", 3), ("eight", 8)] {
            plans::add(&stack, name, plans::limits(pool_size, 200, 200, PATIENT_MS)).await;
        }
        let there = stack.create_tenant("there", "us").await;
        let spared = Load::start(&there, 4);
        spared.goes_on().await;
        Self { stack, spared }
    }

    /// A tenant on the cluster where things happen.
    async fn tenant(&self, slug: &str, plan: &str) -> Tenant {
        let body = serde_json::json!({ "slug": slug, "region": "eu", "plan": plan });
        self.stack.create_tenant_with(body).await
    }

    /// Where the cluster's breaker stands, as a number.
    async fn breaker(&self) -> f64 {
        self.stack.metric("tenantry_cluster_breaker_state", &[&label("cluster", HERE)]).await
    }

    async fn breaker_is(&self, states: &[f64]) {
        wait_until("the breaker stands so", async || states.contains(&self.breaker().await)).await;
    }

    async fn logins(&self, result: &str) -> f64 {
        let labels = [label("cluster", HERE), label("result", result)];
        self.stack.metric("tenantry_cluster_logins_total", &labels.each_ref().map(String::as_str)).await
    }

    /// Waits until so many clients of the tenant wait for a connection.
    async fn waiting(&self, tenant: &Tenant, count: f64) {
        let labels = [label("tenant", &tenant.slug)];
        let labels = labels.each_ref().map(String::as_str);
        wait_until("they wait", async || {
            self.stack.metric("tenantry_pool_waiting_clients", &labels).await == count
        })
        .await;
    }

    /// The cluster as `SHOW CLUSTERS` has it.
    async fn shown(&self) -> HashMap<String, String> {
        let console = &self.stack.descriptor().gateway.console;
        let (client, connection) = tokio_postgres::connect(console, NoTls).await.expect("let in");
        tokio::spawn(connection);
        let rows = client.simple_query("show clusters").await.expect("an answer");
        let row = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) if row.get("cluster") == Some(HERE) => Some(row),
            _ => None,
        });
        let row = row.expect("the cluster was used");
        let value = |name: &str| row.get(name).unwrap_or_default().to_owned();
        row.columns().iter().map(|column| (column.name().to_owned(), value(column.name()))).collect()
    }

    /// Everybody is well, and nothing that was lent is missing.
    async fn ends_well(self) {
        assert_eq!(self.spared.failed(), 0, "the other cluster's clients have noticed");
        self.spared.goes_on().await;
        assert_eq!(self.spared.failed(), 0, "the other cluster's clients have noticed");
        assert_eq!(self.breaker().await, 0.0);
        self.spared.stop().await;
        nothing_is_lost(&self.stack).await;
        assert!(self.stack.metric("tenantry_gateway_out_of_sync_total", &[]).await < 1.0);
        self.stack.stop().await;
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(refused) => panic!("refused: {refused:?}"),
    }
}

async fn logins(tenant: &Tenant, count: usize) -> Vec<WireClient> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(login(tenant).await);
    }
    clients
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

/// Every client asks for something of its own, all at once.
fn all_ask(clients: Vec<WireClient>) -> JoinSet<WireClient> {
    let mut asking = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        asking.spawn(async move {
            let expected = format!("answer {number}");
            assert_eq!(client.value(&format!("select '{expected}'")).await, expected);
            client
        });
    }
    asking
}

/// The error among the messages, if there is one.
fn refusal(messages: &[Message]) -> Option<&Message> {
    messages.iter().find(|message| message.tag == b'E')
}

fn hint(error: &Message) -> String {
    ErrorFields::new(&error.body).text(b'H').unwrap_or_default().into_owned()
}

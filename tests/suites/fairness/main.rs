//! How one gateway shares a cluster's connections out over its tenants: nobody starves, floors and weights hold, limits
//! change live, and who keeps a connection does not lock others out.
//!
//! [`sharing`] has tenants that want more than there is, [`keeping`] clients that keep what they have, [`changing`]
//! limits that change under load, [`closing`] connections that the server does not let go of, [`rates`]
//! tenants that ask faster than they may, [`addresses`] strangers that do.

mod addresses;
mod changing;
mod closing;
mod keeping;
mod rates;
mod sharing;

use harness::wire::WireClient;
use harness::{SharedStack, Stack, Tenant, wait_until};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use suites::plans;
use tenancy::Limits;
use tenantry::dev::{ClusterSpec, StackOptions};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

/// The cluster's connections. The only gateway has them all while its clients want them: of so few, none stays free for
/// another. Its share follows what they want, so that no test can go by what it was a moment ago.
const BUDGET: u32 = 12;
const CLUSTER: &str = "cluster=\"eu-1\"";

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(start));

/// The budget is all tests' together.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

async fn start() -> Stack {
    let mut cluster = ClusterSpec::new("eu-1", "eu");
    cluster.connection_budget = BUDGET;
    Stack::start_with(StackOptions::ephemeral().clusters(vec![cluster])).await
}

/// The stack to oneself, with nothing held any more by those before.
async fn alone() -> (MutexGuard<'static, ()>, &'static Stack) {
    let turn = ONE_AT_A_TIME.lock().await;
    let stack: &'static Stack = &STACK;
    nothing_is_in_use(stack).await;
    (turn, stack)
}

/// Whatever has become of clients, nothing is left of them.
async fn nothing_is_in_use(stack: &Stack) {
    wait_until("nobody waits and nothing is in use", async || {
        stack.metric("tenantry_pool_connections", &["state=\"active\""]).await == 0.0
            && stack.metric("tenantry_pool_connections", &["state=\"opening\""]).await == 0.0
            && stack.metric("tenantry_pool_waiting_clients", &[]).await == 0.0
            && stack.metric("tenantry_cluster_long_held_connections", &[]).await == 0.0
    })
    .await;
}

/// Patient limits with a floor and a weight.
const fn limits(pool_size: u32, floor: u32, weight: u32) -> Limits {
    Limits { floor, weight, ..plans::limits(pool_size, 500, 500, 60_000) }
}

/// A tenant with a plan of its own, called as it is.
async fn tenant(stack: &Stack, slug: &str, limits: Limits) -> Tenant {
    plans::add(stack, slug, limits).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": slug })).await
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

/// Connections that the tenant has, of whatever kind.
async fn connections(stack: &Stack, tenant: &Tenant) -> f64 {
    stack.metric("tenantry_pool_connections", &[&format!("tenant=\"{}\"", tenant.slug)]).await
}

/// Clients that ask all the time. None of them is to meet an error.
struct Busy {
    served: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Busy {
    async fn start(tenant: &Tenant, clients: usize) -> Self {
        let (served, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (served, is_over) = (Arc::clone(&served), Arc::clone(&is_over));
            let mut client = login(tenant).await;
            running.spawn(async move {
                while !is_over.load(Ordering::Acquire) {
                    // It takes a connection for a while, and no processor.
                    run(&mut client, "select pg_sleep(0.01)").await;
                    served.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        Self { served, is_over, clients: running }
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Acquire)
    }

    async fn more_is_served(&self) {
        let before = self.served();
        wait_until("more is served", async || self.served() > before).await;
    }

    async fn stop(self) {
        self.is_over.store(true, Ordering::Release);
        self.clients.join_all().await;
    }
}

//! Faults where they hurt: at every message of many conversations, on both sides of the gateway, and in the
//! servers behind it. Whatever happens to one client, nobody reads a byte of another's, and nothing is lost.
//!
//! [`matrix`] strikes every message of the [`conversations`] in every way, [`servers`] kills, freezes and restarts
//! what is behind, [`pains`] are what others were reported for.
//!
//! The matrix takes a sample of its cases, always the same one. `TENANTRY_TESTS=full` takes all of them,
//! `TENANTRY_CASES=some words` those with these words in their name.

mod conversations;
mod matrix;
mod pains;
mod servers;

use harness::messages::MessageProxy;
use harness::wire::WireClient;
use harness::{FaultProxy, SharedStack, Stack, Tenant};
use std::sync::{LazyLock, OnceLock};
use suites::plans;
use tenantry::dev::{ClusterSpec, StackOptions};

/// How long the gateway waits for a silent server. Long enough for a login on a busy machine.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// In front of the cluster.
static BEFORE_CLUSTER: OnceLock<MessageProxy> = OnceLock::new();

/// In front of the gateway.
static BEFORE_GATEWAY: OnceLock<MessageProxy> = OnceLock::new();

/// In front of the other cluster, where nothing is counted.
static NETWORK: OnceLock<FaultProxy> = OnceLock::new();

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let timeout =
            |gateway: &mut config::GatewayConfig| gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        let clusters = vec![ClusterSpec::new("eu-1", "eu"), ClusterSpec::new("us-1", "us")];
        let stack = Stack::start_with(StackOptions::ephemeral().clusters(clusters).gateway(timeout)).await;
        let before_cluster = MessageProxy::start(stack.cluster_address("eu-1")).await;
        stack.readdress_cluster("eu-1", before_cluster.address()).await;
        let before_gateway = MessageProxy::start(stack.addresses().pg).await;
        BEFORE_CLUSTER.set(before_cluster).expect("the stack is started once");
        BEFORE_GATEWAY.set(before_gateway).expect("the stack is started once");
        let network = FaultProxy::start(stack.cluster_address("us-1")).await;
        stack.readdress_cluster("us-1", network.address()).await;
        NETWORK.set(network).expect("the stack is started once");
        plans::add(&stack, "four", plans::limits(4, 100, 100, 30_000)).await;
        plans::add(&stack, "single", plans::limits(1, 100, 100, 30_000)).await;
        plans::add(&stack, "hasty", plans::limits(1, 100, 100, 200)).await;
        stack
    })
});

/// The proxy in front of the cluster; the stack must have been started.
fn before_cluster() -> &'static MessageProxy {
    BEFORE_CLUSTER.get().expect("the stack has been started")
}

fn before_gateway() -> &'static MessageProxy {
    BEFORE_GATEWAY.get().expect("the stack has been started")
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(refused) => panic!("refused: {refused:?}"),
    }
}

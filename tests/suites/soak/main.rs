//! Minutes of everything at once, and the gateway's memory and descriptors are what they were: `make soak MINUTES=10`.
//!
//! Tenants of one cluster work undisturbed, and none of their requests may fail. The other cluster's server is
//! restarted and its backends are killed, the network on both sides of the gateway breaks at random messages;
//! its tenants come back each time, and read what is theirs. [`actors`] are those who work, [`trouble`] is what
//! happens to them, [`memory`] is what the gateway takes for it.

mod actors;
mod memory;
mod trouble;

use actors::Actors;
use harness::messages::MessageProxy;
use harness::{Stack, wait_until};
use memory::Memory;
use std::fs;
use std::time::{Duration, Instant};
use suites::plans;
use trouble::Trouble;

/// How long, unless `MINUTES` says otherwise.
const MINUTES: u64 = 10;

const SAMPLE_EVERY: Duration = Duration::from_secs(2);

/// How much the last third may take beyond the second, in bytes: what the allocator does not give back of
/// peaks that happen to come late, and a share of the whole.
const GROWTH_BYTES_MAX: u64 = 4 * 1024 * 1024;
const GROWTH_SHARE_MAX: f64 = 0.05;

/// How many descriptors the last third may have beyond the second, and a gateway at rest beyond one that has just
/// started and its servers' connections. One that is not closed with whoever left would be many times more.
const DESCRIPTORS_MORE_MAX: u32 = 32;

/// A certificate of our own, for whoever asks for TLS.
fn tls_settings(stack: &Stack) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (stack.data_dir().join("soak.crt"), stack.data_dir().join("soak.key"));
    fs::write(&cert, made.cert.pem()).expect("the stack's directory is ours");
    fs::write(&key, made.signing_key.serialize_pem()).expect("the stack's directory is ours");
    let (cert, key) = (cert.display(), key.display());
    format!("[tls]\nmode = \"allow\"\ncertificates = [{{ cert_file = \"{cert}\", key_file = \"{key}\" }}]")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; make soak"]
async fn memory_and_descriptors_are_flat_after_minutes_of_everything() {
    let minutes = std::env::var("MINUTES").ok().map_or(MINUTES, |text| text.parse().expect("a number"));
    let mut stack = Stack::start().await;
    let before_server = MessageProxy::start(stack.cluster_address("us-1")).await;
    stack.readdress_cluster("us-1", before_server.address()).await;
    let settings = tls_settings(&stack);
    let mut gateway = stack.gateway_as_process(&settings).await;
    let at_start = Memory::of(gateway.id()).descriptors();
    let before_gateway = MessageProxy::start(stack.addresses().pg).await;
    plans::add(&stack, "soak", plans::limits(6, 200, 200, 5_000)).await;

    let actors = Actors::start(&stack, before_gateway.address()).await;
    let mut trouble = Trouble::new(&stack, &actors, &before_gateway, &before_server).await;
    let mut memory = Memory::of(gateway.id());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60 * minutes) {
        tokio::time::sleep(SAMPLE_EVERY).await;
        assert!(gateway.is_running(), "the gateway ended: {}", gateway.said());
        let resident = memory.sample();
        trouble.strike(&mut stack).await;
        if memory.samples().is_multiple_of(15) {
            println!(
                "{:>4} s  {:>6.1} MiB  {}  {}",
                started.elapsed().as_secs(),
                mebibytes(resident),
                actors.summary(),
                trouble.summary()
            );
        }
    }
    trouble.calm();
    let summary = actors.stop().await;
    nothing_is_left(&stack).await;

    let (second, last) = memory.thirds();
    println!("{summary}");
    println!("{}", trouble.summary());
    println!(
        "resident: {:.1} MiB at first, {:.1} in the second third, {:.1} in the last, {:.1} at rest",
        mebibytes(memory.first()),
        mebibytes(second.resident),
        mebibytes(last.resident),
        mebibytes(memory.sample())
    );
    println!(
        "descriptors: {at_start} at first, {} in the second third, {} in the last, {} at rest",
        second.descriptors,
        last.descriptors,
        memory.descriptors()
    );
    assert!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await < 1.0, "replies out of sync");
    let bound = second.resident + GROWTH_BYTES_MAX + share(second.resident);
    assert!(last.resident <= bound, "the gateway grew from {} to {} bytes", second.resident, last.resident);
    let bound = second.descriptors + DESCRIPTORS_MORE_MAX;
    assert!(last.descriptors <= bound, "from {} to {} descriptors", second.descriptors, last.descriptors);
    descriptors_are_closed(&stack, &memory, at_start).await;
    drop(gateway);
}

async fn nothing_is_left(stack: &Stack) {
    wait_until("all gauges are back", async || {
        let metric = async |name: &str, labels: &[&str]| stack.metric(name, labels).await;
        let busy = metric("tenantry_pool_connections", &["state=\"active\""]).await
            + metric("tenantry_pool_connections", &["state=\"opening\""]).await
            + metric("tenantry_pool_waiting_clients", &[]).await
            + metric("tenantry_gateway_clients", &[]).await
            + metric("tenantry_cluster_waiting_checkouts", &[]).await;
        let idle = metric("tenantry_pool_connections", &["state=\"idle\""]).await;
        busy == 0.0 && metric("tenantry_cluster_connections", &[]).await <= idle
    })
    .await;
}

/// What is open beyond those of the start are connections to servers, which the pools keep.
async fn descriptors_are_closed(stack: &Stack, memory: &Memory, at_start: u32) {
    wait_until("descriptors are closed", async || {
        let kept = stack.metric("tenantry_pool_connections", &[]).await;
        let more = memory.descriptors().saturating_sub(at_start);
        f64::from(more) <= kept + f64::from(DESCRIPTORS_MORE_MAX)
    })
    .await;
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a process's memory"
)]
fn share(bytes: u64) -> u64 {
    (bytes as f64 * GROWTH_SHARE_MAX) as u64
}

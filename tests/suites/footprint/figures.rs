//! Figures of a process of its own, for docs/benchmarks.md: `cargo test --release -p suites --test footprint -- --ignored --nocapture`.

use futures_util::future::join_all;
use harness::wire::WireClient;
use harness::{ChildProcess, Stack};
use std::fs;
use std::time::{Duration, Instant};
use suites::crowd;
use tenantry::dev::StackOptions;

const KNOWN: usize = 10_000;

/// As many as a gateway remembers unless its configuration says otherwise.
const VERY_MANY: usize = 100_000;

/// Tenants that are looked up at the same time.
const AT_ONCE: usize = 8;

/// Clients before those that count, and those; a tenant's plan allows no more than 500.
const WARM_UP: usize = 100;
const CLIENTS: usize = 350;

const IDLE: Duration = Duration::from_secs(60);

/// `USER_HZ`, which is 100 on every Linux that Rust runs on.
const TICK_MS: u64 = 10;

fn resident(process: &ChildProcess) -> u64 {
    kibibytes(process, "VmRSS:") * 1024
}

fn status(process: &ChildProcess, field: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it lives");
    let of = |status: String| {
        status.lines().find_map(|line| line.strip_prefix(field)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.filter_map(|task| Some(of(fs::read_to_string(task.ok()?.path().join("status")).ok()?))).sum()
}

fn kibibytes(process: &ChildProcess, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// User and system time so far, in ticks.
fn ticks(process: &ChildProcess) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it lives");
    // Behind the name in parentheses, which may hold anything: state is field 3, utime 14, stime 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

async fn idle(process: &ChildProcess, what: &str) {
    let before = (ticks(process), status(process, "voluntary_ctxt_switches:"));
    tokio::time::sleep(IDLE).await;
    let after = (ticks(process), status(process, "voluntary_ctxt_switches:"));
    println!(
        "{what}: {} ms of processor time and {} times awake in {} s",
        (after.0 - before.0) * TICK_MS,
        after.1 - before.1,
        IDLE.as_secs()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and judges nothing"]
async fn figures() {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let tenant = stack.create_tenant("measured", "eu").await;
    let crowd = crowd::add(&stack, KNOWN).await;
    stack.stop_gateway().await.expect("it stops");
    let started = Instant::now();
    let process = stack.gateway_as_process("").await;
    println!("ready after {} ms with {KNOWN} tenants in the catalog", started.elapsed().as_millis());
    idle(&process, "a gateway that nobody has used").await;
    let admin = stack.descriptor().gateway.admin.clone();
    crowd::look_up(&admin, &crowd[..WARM_UP]).await;
    let before = resident(&process);
    crowd::look_up(&admin, &crowd[WARM_UP..]).await;
    let known = (resident(&process) - before) / u64::try_from(KNOWN - WARM_UP).expect("few");
    println!("{known} bytes of resident memory for each known tenant");
    let (mut clients, mut before) = (Vec::new(), 0);
    for number in 0..WARM_UP + CLIENTS {
        if number == WARM_UP {
            before = resident(&process);
        }
        let mut client = WireClient::login(&tenant.config()).await.expect("let in");
        client.query("select 1").await.expect("an answer");
        clients.push(client);
    }
    let each = (resident(&process) - before) / u64::try_from(CLIENTS).expect("few");
    println!("{each} bytes of resident memory for each idle client");
    idle(&process, "a gateway that knows ten thousand tenants and has idle clients").await;
    drop(clients);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and judges nothing"]
async fn a_hundred_thousand_tenants() {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    stack.create_tenant("measured", "eu").await;
    let crowd = crowd::add(&stack, VERY_MANY).await;
    stack.catalog_admin().await.batch_execute("analyze").await.expect("an administrator may");
    stack.stop_gateway().await.expect("it stops");
    let started = Instant::now();
    let process = stack.gateway_as_process("").await;
    println!("ready after {} ms with {VERY_MANY} tenants in the catalog", started.elapsed().as_millis());
    let admin = stack.descriptor().gateway.admin.clone();
    crowd::look_up(&admin, &crowd[..WARM_UP]).await;
    let (before, started) = (resident(&process), Instant::now());
    let lanes = crowd[WARM_UP..].chunks(VERY_MANY.div_ceil(AT_ONCE));
    join_all(lanes.map(|slugs| crowd::look_up(&admin, slugs))).await;
    let after = resident(&process);
    let known = stack.metric("tenantry_route_cache_entries", &[]).await;
    println!(
        "{known} tenants known after {} s: resident {after} bytes, {} of them for each tenant",
        started.elapsed().as_secs(),
        (after - before) / u64::try_from(VERY_MANY - WARM_UP).expect("it fits")
    );
    let started = Instant::now();
    let scraped = stack.metrics().await.len();
    println!("a scrape: {scraped} bytes in {} ms", started.elapsed().as_millis());
    println!("resident after it: {} bytes", resident(&process));
    idle(&process, "a gateway that knows a hundred thousand tenants").await;
    stack.stop().await;
}

//! Work that was begun is finished, whoever dies in between and whenever.
//!
//! Control planes here are processes of their own, killed as the kernel kills: nothing is flushed, nothing
//! is said, and a step may have happened without anybody having written so.

use harness::{ChildProcess, DEADLINE, Stack, Tenant, eventually, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenantry::client::path;
use tokio_postgres::Client;

/// Claims of the dead lapse soon.
const WORKER: &str = "\n[worker]\nlease_ms = 1000\npoll_ms = 100\n";

const PROVISION: [&str; 9] = [
    "reserve",
    "place",
    "create-role",
    "create-database",
    "record-oid",
    "set-privileges",
    "write-marker",
    "check-login",
    "activate",
];

const PURGE: [&str; 6] = ["refuse", "fence", "drop-database", "drop-role", "forget", "bury"];

/// A stack without a control plane of its own.
async fn stack() -> Stack {
    let mut stack = Stack::start().await;
    stack.stop_control_plane().await.expect("it stops in order");
    stack
}

/// The stack's configuration for a control plane that does not wait long for the dead.
fn config(stack: &Stack, name: &str, adapt: impl Fn(String) -> String) -> PathBuf {
    let text = std::fs::read_to_string(stack.control_plane_config()).expect("the stack has written it");
    let file = stack.data_dir().join(name);
    std::fs::write(&file, adapt(text) + WORKER).expect("the stack's directory can be written to");
    file
}

fn start(config: &Path) -> ChildProcess {
    ChildProcess::tenantry(["control-plane", "--config", &config.display().to_string()])
}

/// The control plane that the stack's client speaks to.
async fn start_first(stack: &Stack) -> ChildProcess {
    let mut plane = start(&config(stack, "first.toml", |text| text));
    wait_until("the control plane answers", async || {
        assert!(plane.is_running(), "the control plane ended: {}", plane.said());
        stack.client().list(&path(&["regions"])).await.is_ok()
    })
    .await;
    plane
}

/// One that nobody speaks to: it only works.
fn start_second(stack: &Stack) -> ChildProcess {
    let elsewhere = |text: String| {
        let rest = text.lines().filter(|line| !line.starts_with("listen = "));
        rest.fold("listen = \"127.0.0.1:0\"\n".to_owned(), |text, line| text + line + "\n")
    };
    start(&config(stack, "second.toml", elsewhere))
}

async fn begin_provision(stack: &Stack, slug: &str) -> (Tenant, String) {
    let body = json!({ "slug": slug, "region": "eu" });
    let created = stack.must(Method::POST, &path(&["tenants"]), Some(&body)).await;
    (Tenant::from_created(&created), operation_of(&created))
}

async fn begin_purge(stack: &Stack, slug: &str) -> String {
    operation_of(&stack.must(Method::DELETE, &path(&["tenants", slug]), None).await)
}

fn operation_of(answer: &Value) -> String {
    answer["operation"]["id"].as_str().unwrap_or_else(|| panic!("no operation: {answer:#}")).to_owned()
}

/// Kills a control plane, and says whether an operation of its was then unfinished.
async fn kill_amid(plane: &mut ChildProcess, catalog: &Client, operation: &str) -> bool {
    plane.kill();
    let query = "select finished_at is null from catalog.operations where id = $1::text::uuid";
    catalog.query_one(query, &[&operation]).await.expect("the catalog answers").get(0)
}

async fn assert_succeeds(stack: &Stack, operation: &str) {
    let ended = stack.finished(operation).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
}

/// Returns as soon as the step is no longer waiting for its turn. It takes milliseconds, so we look without
/// a pause.
async fn step_begun(catalog: &Client, operation: &str, step: &str) {
    let query = "select state <> 'pending' from catalog.operation_steps
        where operation_id = $1::text::uuid and name = $2";
    let looking = async {
        while !catalog
            .query_one(query, &[&operation, &step])
            .await
            .expect("the catalog answers")
            .get::<_, bool>(0)
        {}
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("{step} does not begin"));
}

/// What is on the clusters is what the catalog says, and the ledger knows of nothing else.
async fn assert_consistent(stack: &Stack) {
    let catalog = stack.catalog_admin().await;
    let names = async |client: &Client, query: &str| -> BTreeSet<String> {
        let rows = client.query(query, &[]).await.expect("an answer");
        rows.into_iter().map(|row| row.get(0)).collect()
    };
    let placed = names(&catalog, "select database_name from catalog.placements").await;
    let live = "select name from catalog.physical_names where dropped_at is null and kind = ";
    assert_eq!(names(&catalog, &format!("{live} 'database'")).await, placed, "the ledger's databases");
    let roles_placed = "select role_name from catalog.placements
        union select role_name from catalog.placement_roles";
    let roles_placed = names(&catalog, roles_placed).await;
    assert_eq!(names(&catalog, &format!("{live} 'role'")).await, roles_placed, "the ledger's roles");
    let (mut databases, mut roles) = (BTreeSet::new(), BTreeSet::new());
    for cluster in &stack.descriptor().clusters {
        let admin = stack.cluster_admin(&cluster.name, "postgres").await;
        databases.extend(names(&admin, "select datname::text from pg_database where datname ~ '^t_'").await);
        roles.extend(names(&admin, "select rolname::text from pg_roles where rolname ~ '^t_'").await);
    }
    assert_eq!(databases, placed, "databases on the clusters");
    assert_eq!(roles, roles_placed, "roles on the clusters");
}

async fn assert_served(tenant: &Tenant) {
    let client = eventually("the tenant is served", async || tenant.try_connect().await.ok()).await;
    client.batch_execute("create table if not exists t (n int)").await.expect("an owner may");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provision_survives_a_kill_at_each_step() {
    let stack = stack().await;
    let catalog = stack.catalog_admin().await;
    let mut plane = start_first(&stack).await;
    let mut interrupted = 0;
    for step in PROVISION {
        let (tenant, operation) = begin_provision(&stack, &format!("killed-at-{step}")).await;
        step_begun(&catalog, &operation, step).await;
        interrupted += u32::from(kill_amid(&mut plane, &catalog, &operation).await);
        plane = start_first(&stack).await;
        assert_succeeds(&stack, &operation).await;
        assert_served(&tenant).await;
    }
    assert!(interrupted > 0, "every kill came too late");
    assert_consistent(&stack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_survives_a_kill_at_each_step() {
    let stack = stack().await;
    let catalog = stack.catalog_admin().await;
    let mut plane = start_first(&stack).await;
    let mut interrupted = 0;
    for step in PURGE {
        let tenant = stack.create_tenant(&format!("killed-at-{step}"), "eu").await;
        let _open = tenant.connect().await;
        let operation = begin_purge(&stack, &tenant.slug).await;
        step_begun(&catalog, &operation, step).await;
        interrupted += u32::from(kill_amid(&mut plane, &catalog, &operation).await);
        plane = start_first(&stack).await;
        assert_succeeds(&stack, &operation).await;
        let error = tenant.try_connect().await.expect_err("it is gone");
        assert_eq!(error.code().map(|code| code.code()), Some("28P01"));
    }
    assert!(interrupted > 0, "every kill came too late");
    assert_consistent(&stack).await;
    let tombstones = catalog.query_one("select count(*) from catalog.tombstones", &[]).await;
    assert_eq!(tombstones.expect("an answer").get::<_, i64>(0), 6);
    stack.stop().await;
}

/// Kills at moments that nobody chose, with several operations under way, and the catalog away for a while.
#[tokio::test(flavor = "multi_thread")]
async fn many_operations_survive_many_kills() {
    let mut stack = stack().await;
    let mut plane = start_first(&stack).await;
    let mut doomed = Vec::new();
    for number in 0..4 {
        doomed.push(stack.create_tenant(&format!("doomed-{number}"), "us").await);
    }
    let (mut tenants, mut operations) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let (tenant, operation) = begin_provision(&stack, &format!("storm-{number}")).await;
        tenants.push(tenant);
        operations.push(operation);
    }
    for tenant in &doomed {
        operations.push(begin_purge(&stack, &tenant.slug).await);
    }
    for round in 0..6 {
        // Not a wait for anything: the moment of the kill is the point.
        tokio::time::sleep(Duration::from_millis(37 * (round * 5 % 7 + 1))).await;
        plane.kill();
        if round == 3 {
            stack.catalog().restart().await.expect("the catalog comes back");
        }
        plane = start_first(&stack).await;
    }
    for operation in &operations {
        assert_succeeds(&stack, operation).await;
    }
    for tenant in &tenants {
        assert_served(tenant).await;
    }
    assert_consistent(&stack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_may_restart_while_an_operation_runs() {
    let mut stack = stack().await;
    let _plane = start_first(&stack).await;
    for step in ["create-role", "set-privileges", "activate"] {
        let (tenant, operation) = begin_provision(&stack, &format!("restarted-at-{step}")).await;
        step_begun(&stack.catalog_admin().await, &operation, step).await;
        stack.catalog().restart().await.expect("the catalog comes back");
        assert_succeeds(&stack, &operation).await;
        assert_served(&tenant).await;
    }
    assert_consistent(&stack).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_may_restart_while_an_operation_runs() {
    let mut stack = stack().await;
    let _plane = start_first(&stack).await;
    let catalog = stack.catalog_admin().await;
    for step in ["create-database", "write-marker"] {
        let (tenant, operation) = begin_provision(&stack, &format!("restarted-at-{step}")).await;
        step_begun(&catalog, &operation, step).await;
        stack.cluster("eu-1").expect("a cluster").restart().await.expect("the cluster comes back");
        assert_succeeds(&stack, &operation).await;
        assert_served(&tenant).await;
    }
    let operation = begin_purge(&stack, "restarted-at-write-marker").await;
    step_begun(&catalog, &operation, "drop-database").await;
    stack.cluster("eu-1").expect("a cluster").restart().await.expect("the cluster comes back");
    assert_succeeds(&stack, &operation).await;
    assert_consistent(&stack).await;
    stack.stop().await;
}

/// Whoever takes an operation over has a higher fence.
async fn fence(catalog: &Client, operation: &str) -> i64 {
    let query = "select fence from catalog.operations where id = $1::text::uuid";
    catalog.query_one(query, &[&operation]).await.expect("the catalog answers").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_control_plane_takes_over_and_one_that_wakes_up_late_changes_nothing() {
    let stack = stack().await;
    let catalog = stack.catalog_admin().await;
    let mut first = start_first(&stack).await;
    let mut second = None;
    for step in ["place", "create-database", "check-login"] {
        let (tenant, operation) = begin_provision(&stack, &format!("frozen-at-{step}")).await;
        step_begun(&catalog, &operation, step).await;
        let pid = Pid::from_raw(first.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGSTOP).expect("our own child");
        let before = fence(&catalog, &operation).await;
        let _second = second.get_or_insert_with(|| start_second(&stack));
        let state = "select state = 'succeeded' from catalog.operations where id = $1::text::uuid";
        wait_until("somebody else has it", async || {
            let done = catalog.query_one(state, &[&operation]).await.expect("the catalog answers");
            done.get::<_, bool>(0) || fence(&catalog, &operation).await > before
        })
        .await;
        kill(pid, Signal::SIGCONT).expect("our own child");
        assert_succeeds(&stack, &operation).await;
        assert_served(&tenant).await;
        assert!(first.is_running(), "{}", first.said());
    }
    // The first is gone for good, and nobody starts it again.
    let (tenant, operation) = begin_provision(&stack, "orphaned").await;
    first.kill();
    let state = "select state from catalog.operations where id = $1::text::uuid";
    wait_until("the second has finished it", async || {
        let row = catalog.query_one(state, &[&operation]).await.expect("the catalog answers");
        row.get::<_, String>(0) == "succeeded"
    })
    .await;
    assert_served(&tenant).await;
    assert_consistent(&stack).await;
    stack.stop().await;
}

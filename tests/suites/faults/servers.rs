//! Servers that die, freeze, restart, have no room, or are not the primary any more.
//!
//! Each test that stops a server has a stack of its own. Tenants of the other cluster ask all the while, and
//! notice nothing.

use crate::{STACK, login};
use harness::wire::{Message, WireClient};
use harness::{Stack, Tenant, eventually, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgwire::frontend::write;
use suites::load::Load;
use suites::plans;
use suites::settled::{answer_in_the_end, nothing_is_lost};
use tenantry::dev::StackOptions;

const CLIENTS: usize = 6;
const CONNECT_TIMEOUT_MS: u64 = 2_000;

fn error_of(messages: &[Message]) -> String {
    let error = messages.iter().find(|message| message.tag == b'E');
    error.unwrap_or_else(|| panic!("no error: {messages:?}")).sqlstate()
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

async fn backends(stack: &Stack, tenant: &Tenant) -> Vec<i32> {
    let physical = stack.physical(tenant).await;
    let admin = stack.cluster_admin(&physical.cluster, "postgres").await;
    let query = "select pid from pg_stat_activity where usename = $1";
    let rows = admin.query(query, &[&physical.role]).await.expect("an administrator may look");
    rows.iter().map(|row| row.get(0)).collect()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("our own server's process");
}

fn postmaster(stack: &mut Stack) -> i32 {
    i32::try_from(stack.cluster("eu-1").expect("a cluster").pid()).expect("a process id")
}

/// One disaster after the other, with clients that ask all the time on both clusters.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_disasters_and_the_other_one_notices_nothing() {
    let options =
        StackOptions::ephemeral().gateway(|gateway| gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS);
    let mut stack = Stack::start_with(options).await;
    plans::add(&stack, "few", plans::limits(3, 100, 100, 5_000)).await;
    let body = serde_json::json!({ "slug": "here", "region": "eu", "plan": "few" });
    let (here, there) = (stack.create_tenant_with(body).await, stack.create_tenant("there", "us").await);
    let (hit, spared) = (Load::start(&here, CLIENTS), Load::start(&there, CLIENTS));
    let (idle, mut quiet) = (login(&here).await, login(&here).await);
    hit.goes_on().await;

    // A single backend: the postmaster ends all others too, and recovers.
    let pid =
        eventually("somebody is at work", async || backends(&stack, &here).await.first().copied()).await;
    signal(pid, Signal::SIGKILL);
    hit.goes_on().await;

    stack.cluster("eu-1").expect("a cluster").restart().await.expect("it comes back");
    hit.goes_on().await;

    signal(postmaster(&mut stack), Signal::SIGQUIT);
    wait_until("it has ended", async || stack.cluster("eu-1").expect("a cluster").has_exited()).await;
    // Not before the last of its backends has ended too.
    let start_again = async || stack.cluster("eu-1").expect("a cluster").start_again().await.ok();
    eventually("it comes back", start_again).await;
    hit.goes_on().await;

    stack.cluster("eu-1").expect("a cluster").kill().await.expect("it is killed");
    spared.goes_on().await;
    stack.cluster("eu-1").expect("a cluster").start_again().await.expect("it comes back");
    hit.goes_on().await;

    stack.cluster("eu-1").expect("a cluster").pause();
    // Longer than a login may take, so that some attempts are given up.
    let error = eventually("a login is given up", async || {
        let answer = quiet.query("select 1").await.ok()?;
        answer.iter().find(|message| message.tag == b'E').map(Message::sqlstate)
    })
    .await;
    assert!(["08006", "53300"].contains(&&*error), "{error}");
    spared.goes_on().await;
    stack.cluster("eu-1").expect("a cluster").resume();
    hit.goes_on().await;

    assert!(hit.failed() > 0, "nothing happened");
    hit.stop().await;
    assert_eq!(spared.failed(), 0, "the other cluster's clients have noticed");
    spared.stop().await;
    drop((idle, quiet));
    nothing_is_lost(&stack).await;
    assert!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await < 1.0);
    stack.stop().await;
}

/// What a client is doing when its backend is ended.
const PHASES: [(&str, &str); 5] = [
    ("idle", ""),
    ("in a transaction", "begin"),
    ("in a failed transaction", "begin; select 1/0"),
    ("pinned", "create temp table pinned (n int)"),
    ("in a query", "select pg_sleep(3600)"),
];

/// Ended while the client does this: it hears the server's words or nothing, and the next is served at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_terminated_in_any_phase_costs_its_own_client_alone() {
    let body = serde_json::json!({ "slug": "terminated", "region": "eu", "plan": "single" });
    let tenant = STACK.create_tenant_with(body).await;
    run(&mut login(&tenant).await, "create table lines (t text)").await;
    for (phase, sql) in PHASES {
        let mut client = login(&tenant).await;
        let mut request = Vec::new();
        write::query(&mut request, sql.as_bytes()).expect("it fits");
        client.send(&request).await.expect("sent");
        if phase == "in a query" {
            let labels = ["tenant=\"terminated\"", "state=\"active\""];
            let active = async || STACK.metric("tenantry_pool_connections", &labels).await == 1.0;
            wait_until("it runs", active).await;
        } else {
            client.until_ready().await.expect("an answer");
        }
        let ended = STACK.end_sessions(&tenant).await;
        assert_eq!(ended, 1, "{phase}");
        if phase == "idle" {
            assert_eq!(client.value("select 'not noticed'").await, "not noticed");
        } else {
            assert_eq!(error_of(&client.until_end().await.expect("an orderly end")), "57P01", "{phase}");
        }
        drop(client);
        assert_eq!(login(&tenant).await.value("select 'next'").await, "next", "{phase}");
    }
    for begin in [
        "copy lines from stdin",
        "copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout",
    ] {
        let mut client = login(&tenant).await;
        let mut request = Vec::new();
        write::query(&mut request, begin.as_bytes()).expect("it fits");
        client.send(&request).await.expect("sent");
        client.message().await.expect("the COPY begins");
        assert_eq!(STACK.end_sessions(&tenant).await, 1, "{begin}");
        let words = client.until_end().await.expect("an orderly end");
        assert!(words.iter().all(|message| message.tag != b'Z'), "{begin}");
        assert_eq!(login(&tenant).await.value("select 'next'").await, "next", "{begin}");
    }
}

/// A backend that is frozen keeps its own client waiting, and gives its place back when it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_backend_holds_up_nobody_but_its_client() {
    let body = serde_json::json!({ "slug": "one-frozen", "region": "eu", "plan": "single" });
    let tenant = STACK.create_tenant_with(body).await;
    let neighbour = STACK.create_tenant("not-frozen", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "begin").await;
    let pid = backends(&STACK, &tenant).await[0];
    signal(pid, Signal::SIGSTOP);
    let mut request = Vec::new();
    write::query(&mut request, b"select 'late'").expect("it fits");
    client.send(&request).await.expect("sent");
    assert_eq!(login(&neighbour).await.value("select 'well'").await, "well");

    // It leaves. The next client gets another connection; the frozen one still counts.
    drop(client);
    assert_eq!(login(&tenant).await.value("select 'next'").await, "next");
    assert!(backends(&STACK, &tenant).await.contains(&pid));
    signal(pid, Signal::SIGCONT);
    wait_until("the thawed backend ends", async || !backends(&STACK, &tenant).await.contains(&pid)).await;
}

/// Somebody else uses what our budget says is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_refuses_a_request_and_keeps_its_client() {
    let body = serde_json::json!({ "slug": "no-room", "region": "eu", "plan": "single" });
    let tenant = STACK.create_tenant_with(body).await;
    let mut client = login(&tenant).await;
    let physical = STACK.physical(&tenant).await;
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let limit = async |limit: i32| {
        let alter = format!("alter database \"{}\" connection limit {limit}", physical.database);
        admin.batch_execute(&alter).await.expect("an administrator may");
    };
    limit(0).await;
    STACK.end_sessions(&tenant).await;
    for _ in 0..3 {
        assert_eq!(error_of(&client.query("select 1").await.expect("an answer")), "53300");
    }
    limit(-1).await;
    // Those who ask too early are refused; whoever asks when it is time has it tried.
    assert_eq!(answer_in_the_end(&mut client, "select 'room'").await, "room");
}

/// After a failover the old address may lead to a standby: the right system, with the right names in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_primary_is_refused_until_it_is_promoted() {
    let mut stack = Stack::start().await;
    let tenant = stack.create_tenant("demoted", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table written (n int)").await;
    let server = stack.cluster("eu-1").expect("a cluster");
    let signal_file = server.data_dir().join("standby.signal");
    std::fs::write(&signal_file, "").expect("the server's directory is ours");
    if let Err(error) = std::os::unix::fs::chown(&signal_file, owner_of(server.data_dir()), None) {
        panic!("the server's file can be given to it: {error}");
    }
    server.restart().await.expect("it comes back as a standby");
    for _ in 0..3 {
        let answer = client.query("insert into written values (1)").await.expect("an answer");
        assert_eq!(error_of(&answer), "08006", "{answer:?}");
    }
    assert!(backends(&stack, &tenant).await.is_empty(), "no pool keeps a connection to a standby");
    let admin = stack.cluster_admin("eu-1", "postgres").await;
    admin.batch_execute("select pg_promote()").await.expect("an administrator may");
    eventually("the promoted server is served from", async || {
        let answer = client.query("insert into written values (1)").await.expect("an answer");
        answer.iter().all(|message| message.tag != b'E').then_some(())
    })
    .await;
    assert_eq!(client.value("select count(*) from written").await, "1");
    stack.stop().await;
}

fn owner_of(dir: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    dir.metadata().ok().map(|data| data.uid())
}

//! Servers that go and come back: whoever has sent nothing waits, and hears of nothing.

use crate::{HERE, PATIENT_MS, World, all_ask, logins, run};
use harness::{eventually, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use suites::load::Load;

const CLIENTS: usize = 12;

async fn world() -> World {
    World::start(|gateway| gateway.pool.outage_patience_ms = PATIENT_MS.into()).await
}

/// Ends the server: in order, at once, or as a power cut would.
async fn end(world: &mut World, signal: Signal) {
    let server = world.stack.cluster(HERE).expect("a cluster");
    if signal == Signal::SIGKILL {
        server.kill().await.expect("it is killed");
    } else {
        let pid = i32::try_from(server.pid()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("our own server");
    }
    wait_until("it has ended", async || world.stack.cluster(HERE).expect("a cluster").has_exited()).await;
}

async fn start_again(world: &mut World) {
    // Not before the last of its backends has ended too.
    let again = async || world.stack.cluster(HERE).expect("a cluster").start_again().await.ok();
    eventually("it comes back", again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_the_server_is_away_is_answered_when_it_is_back() {
    let mut world = world().await;
    let tenant = world.tenant("patient", "three").await;
    let mut clients = logins(&tenant, CLIENTS).await;
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
        // So that the pool has idle connections, of which none is good any more.
        clients = all_ask(clients).join_all().await;
        end(&mut world, signal).await;
        let asking = all_ask(clients);
        world.waiting(&tenant, 12.0).await;
        world.breaker_is(&[1.0]).await;
        let shown = world.shown().await;
        assert_eq!(shown["breaker"], "trying", "{shown:?}");
        assert!(!shown["trouble"].is_empty(), "{shown:?}");
        start_again(&mut world).await;
        clients = asking.join_all().await;
        let shown = world.shown().await;
        assert_eq!((&*shown["breaker"], &*shown["trouble"]), ("closed", ""), "{signal}: {shown:?}");
    }
    drop(clients);
    let refused = ["cluster=\"eu-1\""];
    assert_eq!(world.stack.metric("tenantry_cluster_breaker_refusals_total", &refused).await, 0.0);
    world.ends_well().await;
}

/// What ran is lost, a transaction for each connection at most. Nobody else hears of anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_costs_no_more_than_the_transactions_that_ran() {
    let mut world = world().await;
    let tenant = world.tenant("busy", "three").await;
    let load = Load::start(&tenant, CLIENTS);
    load.goes_on().await;
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGINT] {
        let before = load.failed();
        end(&mut world, signal).await;
        start_again(&mut world).await;
        load.goes_on().await;
        let failed = load.failed() - before;
        assert!(failed <= 3, "{signal}: {failed} failed where three connections were lost");
    }
    load.stop().await;
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_idle_connection_of_a_server_that_was_restarted_is_handed_out() {
    let mut world = world().await;
    let tenant = world.tenant("idle", "eight").await;
    let mut clients = logins(&tenant, 8).await;
    for client in &mut clients {
        run(client, "begin").await;
    }
    for client in &mut clients {
        run(client, "commit").await;
    }
    let labels = ["tenant=\"idle\"", "state=\"idle\""];
    assert_eq!(world.stack.metric("tenantry_pool_connections", &labels).await, 8.0);
    end(&mut world, Signal::SIGINT).await;
    start_again(&mut world).await;
    clients = all_ask(clients).join_all().await;
    drop(clients);
    world.ends_well().await;
}

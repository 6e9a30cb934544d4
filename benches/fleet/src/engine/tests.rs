//! The accounting, before a server that is told when to stall. No real one stalls on time.

use super::*;
use crate::plan::{Arrivals, Choice, Script, Stream, Window};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const STALL: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_millis(100);

/// Lets everybody in and answers every request at once, but for one, the `stall_at`th of a connection.
async fn server(stall_at: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(answer(client, stall_at));
        }
    });
    address
}

async fn answer(mut client: TcpStream, stall_at: u32) {
    let mut buffer = [0; 4096];
    let mut requests = 0;
    let _ = client.read(&mut buffer).await;
    let mut reply = Vec::new();
    pgwire::backend::write::authentication_ok(&mut reply);
    loop {
        pgwire::backend::write::ready_for_query(&mut reply, pgwire::backend::TransactionStatus::Idle);
        if client.write_all(&reply).await.is_err() || !matches!(client.read(&mut buffer).await, Ok(1..)) {
            return;
        }
        requests += 1;
        if requests == stall_at {
            tokio::time::sleep(STALL).await;
        }
        reply.clear();
        pgwire::backend::write::command_complete(&mut reply, b"SELECT 1");
    }
}

fn plan(stream: Stream, windows: Vec<Window>) -> Plan {
    Plan { seed: 3, threads: 2, windows, drain_ms: 5_000, streams: vec![stream] }
}

fn target(address: SocketAddr) -> Target {
    Target::Template(format!("host=127.0.0.1 port={} user=u{{n}} dbname=t{{n}}", address.port()))
}

async fn run(plan: &Plan, target: &Target) -> Vec<Tally> {
    let mut found = start(plan, target).unwrap().finish().await.unwrap();
    found.tallies.remove(0)
}

fn ends(tally: &Tally) -> u64 {
    tally.ok + tally.refused + tally.failed.values().sum::<u64>() + tally.abandoned + tally.unfinished
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_charged_for_all_that_was_due_meanwhile() {
    let address = server(100).await;
    let stream = Stream::selects("all", 1, 1, Arrivals::Open(200.0), Choice::Turns);
    let length = Window::counted("all", Duration::from_secs(2));
    let tally = &run(&plan(stream, vec![length]), &target(address)).await[0];
    let slow = u64::try_from(SLOW.as_micros()).unwrap();
    let slow_latencies = tally.latency.len() - tally.latency.count_between(1, slow);
    let slow_services = tally.service.len() - tally.service.count_between(1, slow);
    // 80 are due in the first 400 ms of the stall; of these one was under way.
    assert!(slow_latencies > 40, "{slow_latencies} requests felt the stall");
    assert!(slow_services < slow_latencies / 4, "{slow_services} were sent and not answered for long");
    assert_eq!(ends(tally), tally.issued);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_accounted_for_also_without_an_answer() {
    let address = server(2).await;
    let mut stream = Stream::selects("all", 1, 5, Arrivals::Open(500.0), Choice::Uniform);
    stream.patience_ms = 50;
    let mut plan = plan(stream, vec![Window::counted("all", Duration::from_millis(200))]);
    plan.drain_ms = 10;
    let tally = &run(&plan, &target(address)).await[0];
    assert_eq!(ends(tally), tally.issued, "{tally:?}");
    assert!(tally.unfinished > 0, "the servers still stall: {tally:?}");
    assert_eq!(tally.any.len(), tally.issued);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_share_out_what_is_due_in_them() {
    let address = server(0).await;
    let stream = Stream::selects("all", 1, 10, Arrivals::Open(1_000.0), Choice::Zipf(1.0));
    let ms = Duration::from_millis;
    let windows =
        vec![Window::warm_up(ms(200)), Window::counted("a", ms(300)), Window::counted("b", ms(600))];
    let tallies = run(&plan(stream, windows), &target(address)).await;
    for (tally, due) in tallies.iter().zip([200.0_f64, 300.0, 600.0]) {
        let issued = f64::from(u32::try_from(tally.issued).unwrap());
        assert!((issued - due).abs() < 6.0 * due.sqrt(), "{issued} of {due}");
    }
    assert_eq!(tallies.iter().map(|tally| tally.login.len()).sum::<u64>(), 10, "one login a tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_users_never_have_two_requests_at_once() {
    let address = server(0).await;
    let mut stream = Stream::selects("all", 1, 3, Arrivals::Closed(3), Choice::Own);
    stream.preconnect = true;
    let plan = plan(stream, vec![Window::counted("all", Duration::from_millis(300))]);
    let tally = &run(&plan, &target(address)).await[0];
    assert!(tally.ok > 30, "{tally:?}");
    assert_eq!((tally.ok, tally.login.len()), (tally.issued, 0), "they were connected before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_for_each_request_is_part_of_its_latency() {
    let address = server(0).await;
    let mut stream = Stream::selects("all", 1, 4, Arrivals::Open(200.0), Choice::Turns);
    stream.login_each = true;
    stream.script = Script::Login;
    let plan = plan(stream, vec![Window::counted("all", Duration::from_millis(500))]);
    let tally = &run(&plan, &target(address)).await[0];
    assert_eq!((tally.login.len(), ends(tally)), (tally.ok, tally.issued));
}

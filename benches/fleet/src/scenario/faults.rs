//! A server halts, restarts, or never answers: what its own tenants see, and what the tenants of another server notice.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, Run, gateway};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Plan, Stream, Window};
use crate::report::counts;
use crate::world::catalog::Place;
use crate::world::server::Cluster;
use std::time::Duration;
use tokio::net::TcpListener;

/// Tenants of each server.
const TENANTS: u32 = 20;

/// Tenants of the server that never answers.
const SILENT: u32 = 10;

/// Enough for all that its tenants may have: it is the fault that is to be seen.
const BUDGET: u32 = TENANTS * LIMITS.pool_size;

/// Requests to each server's tenants, a second.
const RATE: f64 = 100.0;

const WINDOWS: [&str; 3] = ["before", "during", "after"];

/// What happens between `before` and `after`.
#[derive(Clone, Copy)]
enum Fault {
    Nothing,
    Halt,
    Restart,
    Silence,
}

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let (well, struck) = (1..TENANTS + 1, TENANTS + 1..2 * TENANTS + 1);
    let healthy = bench.cluster("faults-well", well.clone(), BUDGET).await?;
    let mut faulty = bench.cluster("faults-struck", struck.clone(), BUDGET).await?;
    let catalog = bench.catalog(LIMITS, &healthy, well, BUDGET).await?;
    bench.register(&catalog, &faulty, struck, BUDGET, 1).await?;
    let silent = Silent::start().await?;
    let tenants = 2 * TENANTS + 1..2 * TENANTS + 1 + SILENT;
    catalog.registry.register(&silent.place(), tenants, 1, None).await?;
    let ours = bench.gateway(&catalog).await?;

    println!("## A server fails: the tenants of another one beside its own\n");
    let mut table = Table::new(&[
        "fault",
        "window",
        "others' goodput/s",
        "p50 ms",
        "p99 ms",
        "p99 / without",
        "longest ms",
        "failed",
        "its own goodput/s",
        "longest ms",
        "refused",
        "failed",
    ]);
    let mut base = 0.0;
    for (name, fault) in [
        ("none", Fault::Nothing),
        ("halted (SIGSTOP)", Fault::Halt),
        ("restarted", Fault::Restart),
        ("never answers", Fault::Silence),
    ] {
        let run = strike(bench, &gateway(&ours), &mut faulty, name, fault).await?;
        if matches!(fault, Fault::Nothing) {
            base = run.report.part("others", Some("during")).latency_ms.p99;
        }
        rows(&mut table, name, &run, base);
    }
    table.print();
    Ok(())
}

async fn strike(
    bench: &mut Bench,
    target: &Driven,
    faulty: &mut Cluster,
    name: &str,
    fault: Fault,
) -> Result<Run, ScenarioError> {
    let plan = plan(bench, fault);
    bench
        .drive_while(name, &plan, target, None, async |running| {
            // The warm-up and `before` come first.
            running.reached(2).await;
            match fault {
                Fault::Nothing | Fault::Silence => {}
                Fault::Restart => faulty.server.restart().await?,
                Fault::Halt => {
                    faulty.halt();
                    running.reached(3).await;
                    faulty.resume();
                }
            }
            Ok(())
        })
        .await
}

/// The tenants of the silent server ask only while that is the fault.
fn plan(bench: &Bench, fault: Fault) -> Plan {
    let mut windows = vec![Window::warm_up(3 * bench.options.warm_up())];
    windows.extend(WINDOWS.map(|name| Window::counted(name, bench.options.window())));
    let stream = |name, first, tenants, rate| {
        let mut stream = Stream::selects(name, first, tenants, Arrivals::Open(rate), Choice::Uniform);
        // So many that no request waits for another one here.
        (stream.connections, stream.timeout_ms) = (500, 20_000);
        stream
    };
    let own = match fault {
        Fault::Silence => stream("own", 2 * TENANTS + 1, SILENT, RATE),
        Fault::Nothing | Fault::Halt | Fault::Restart => stream("own", TENANTS + 1, TENANTS, RATE),
    };
    bench.plan(windows, vec![stream("others", 1, TENANTS, RATE), own])
}

fn rows(table: &mut Table, name: &str, run: &Run, base: f64) {
    for window in WINDOWS {
        let (others, own) = (run.report.part("others", Some(window)), run.report.part("own", Some(window)));
        table.row([
            name.to_owned(),
            window.to_owned(),
            format!("{:.0}", others.goodput),
            format!("{:.2}", others.latency_ms.p50),
            format!("{:.2}", others.latency_ms.p99),
            ratio(others.latency_ms.p99, base),
            format!("{:.1}", others.longest_ms),
            (others.failures() + others.refused).to_string(),
            format!("{:.0}", own.goodput),
            format!("{:.0}", own.longest_ms),
            own.refused.to_string(),
            format!("{}, given up {}", counts(&own.failed), own.abandoned + own.unfinished),
        ]);
    }
}

/// Something that accepts connections and never says a word.
struct Silent {
    port: u16,
    accepting: tokio::task::JoinHandle<()>,
}

impl Silent {
    async fn start() -> Result<Self, ScenarioError> {
        let failed = |source| crate::world::WorldError::File { path: "127.0.0.1".into(), source };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let accepting = tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => kept.push(stream),
                    // Out of descriptors, perhaps: it is silent enough without this one.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(Self { port, accepting })
    }

    fn place(&self) -> Place {
        Place {
            name: "faults-silent".to_owned(),
            port: self.port,
            system_identifier: "silent".to_owned(),
            version_num: 150_000,
            budget: BUDGET,
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

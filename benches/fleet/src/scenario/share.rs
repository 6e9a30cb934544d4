//! 200 tenants at once, one client each: what share of the server's own throughput is left through a pooler.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, Run, bouncer, direct, gateway};
use super::table::{Table, median, ratio};
use crate::plan::{Arrivals, Choice, Stream};
use crate::report::number;
use crate::world::pgbouncer::Settings;

const TENANTS: u32 = 200;

/// Server connections of one tenant.
const POOL_SIZE: u32 = 2;

/// A connection for each tenant, and what a gateway leaves free for another one that may start.
const BUDGET: u32 = TENANTS + TENANTS / 5;

/// All three targets keep a connection for each tenant.
const CONNECTIONS: u32 = 2 * TENANTS + BUDGET + 20;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let tenants = 1..TENANTS + 1;
    let cluster = bench.cluster("share", tenants.clone(), CONNECTIONS).await?;
    let limits = tenancy::Limits { pool_size: POOL_SIZE, ..LIMITS };
    let catalog = bench.catalog(limits, &cluster, tenants, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let settings = Settings {
        server_port: cluster.server.port(),
        users: TENANTS,
        pool_size: POOL_SIZE,
        prepared: false,
    };
    let theirs = bench.pgbouncer(settings).await?;
    let mut targets = vec![direct(&cluster)];
    targets.extend(theirs.as_ref().map(bouncer));
    targets.push(gateway(&ours));

    let mut stream = Stream::selects("all", 1, TENANTS, Arrivals::Closed(TENANTS), Choice::Own);
    stream.preconnect = true;
    let plan = bench.steady(vec![stream]);
    let mut runs: Vec<Vec<Run>> = targets.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.options.rounds() {
        for (target, runs) in targets.iter().zip(&mut runs) {
            runs.push(bench.drive("200 tenants at once", &plan, target, None).await?);
        }
    }
    print(&targets, &runs);
    Ok(())
}

fn print(targets: &[Driven], runs: &[Vec<Run>]) {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure));
    let goodput = |run: &Run| run.report.part("all", None).goodput;
    let p99 = |run: &Run| run.report.part("all", None).latency_ms.p99;
    let peer = targets.iter().position(|target| target.name == "PgBouncer");
    let peer_p99 = peer.map_or(0.0, |peer| of(&runs[peer], p99));
    let base = of(&runs[0], goodput);
    println!("## {TENANTS} tenants at once, one client each\n");
    let mut table = Table::new(&[
        "target",
        "tx/s",
        "share of direct",
        "p50 ms",
        "p99 ms",
        "p99 / PgBouncer",
        "CPU µs/tx",
        "failed",
        "driver cores",
    ]);
    for (target, runs) in targets.iter().zip(runs) {
        let cpu = of(runs, |run| {
            let part = run.report.part("all", None);
            run.seen_in("steady").cpu_seconds() * 1e6 / (part.goodput * part.seconds).max(1.0)
        });
        table.row([
            target.name.to_owned(),
            format!("{:.0}", of(runs, goodput)),
            ratio(of(runs, goodput), base),
            format!("{:.2}", of(runs, |run| run.report.part("all", None).latency_ms.p50)),
            format!("{:.2}", of(runs, p99)),
            ratio(of(runs, p99), peer_p99),
            format!("{cpu:.1}"),
            format!("{:.0}", of(runs, |run| number(run.report.part("all", None).failures()))),
            format!("{:.2}", of(runs, |run| run.report.driver_cores)),
        ]);
    }
    table.print();
}

//! Many more tenants than connections: the same load on tenants that all fit into the budget, and on many that do not.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, Run, bouncer, direct, gateway, within_budget};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Script, Stream};
use crate::report::counts;
use crate::world::pgbouncer::Settings;

/// The exponent of Zipf's law: web sites, words and customers are near 1.
const SKEW: f64 = 1.0;

/// Requests a second. With many tenants each miss costs the server a login, which bounds what can be had.
const RATES: [f64; 3] = [50.0, 100.0, 200.0];

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let options = bench.options.clone();
    let (many, fit) = (options.size(2_000, 200), options.size(50, 5));
    let budget = options.size(100, 10);
    let tenants = 1..many + 1;
    let cluster = bench.cluster(&format!("budget-{many}"), tenants.clone(), budget).await?;
    println!("## {many} tenants over a budget of {budget} connections, beside {fit} that fit\n");
    let logins = logins(bench, &cluster, fit).await?;
    println!("The server alone manages {logins:.0} logins a second.\n");

    let catalog = bench.catalog(LIMITS, &cluster, tenants, budget).await?;
    let ours = bench.gateway(&catalog).await?;
    let mut table = Table::new(&[
        "target",
        "offered/s",
        "tenants",
        "goodput/s",
        "goodput / that of those that fit",
        "p50 ms",
        "p99 ms",
        "longest ms",
        "refused",
        "failed",
        "connections seen",
        "refused by the server",
    ]);
    let mut worst = Ok(());
    for rate in RATES {
        let runs = beside(bench, &gateway(&ours), &cluster, rate, [fit, many]).await?;
        rows(&mut table, "gateway", rate, [fit, many], &runs);
        for run in &runs {
            worst = worst.and(within_budget(run, budget));
        }
    }
    drop(ours);
    // It knows no budget over databases; what that means is shown last, since it fills the server's log.
    let settings = Settings {
        server_port: cluster.server.port(),
        users: many,
        pool_size: LIMITS.pool_size,
        prepared: false,
    };
    if let Some(theirs) = bench.pgbouncer(settings).await? {
        let runs = beside(bench, &bouncer(&theirs), &cluster, RATES[1], [fit, many]).await?;
        rows(&mut table, "PgBouncer", RATES[1], [fit, many], &runs);
    }
    table.print();
    worst
}

/// The same load, on few tenants and on many.
async fn beside(
    bench: &mut Bench,
    target: &Driven,
    cluster: &crate::world::server::Cluster,
    rate: f64,
    tenants: [u32; 2],
) -> Result<[Run; 2], ScenarioError> {
    let stream = |tenants| {
        let mut stream = Stream::selects("all", 1, tenants, Arrivals::Open(rate), Choice::Zipf(SKEW));
        stream.connections = 8;
        bench.steady(vec![stream])
    };
    let plans = [stream(tenants[0]), stream(tenants[1])];
    let few = bench.drive("tenants that fit", &plans[0], target, Some(cluster)).await?;
    let many = bench.drive("more tenants than connections", &plans[1], target, Some(cluster)).await?;
    Ok([few, many])
}

fn rows(table: &mut Table, name: &str, rate: f64, tenants: [u32; 2], runs: &[Run; 2]) {
    let fits = runs[0].report.part("all", None).goodput;
    for (tenants, run) in tenants.into_iter().zip(runs) {
        let part = run.report.part("all", None);
        table.row([
            name.to_owned(),
            format!("{rate:.0}"),
            tenants.to_string(),
            format!("{:.0}", part.goodput),
            ratio(part.goodput, fits),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            format!("{:.1}", part.longest_ms),
            part.refused.to_string(),
            format!("{}, given up {}", counts(&part.failed), part.abandoned + part.unfinished),
            run.seen.sessions_max().to_string(),
            run.refused_by_server.to_string(),
        ]);
    }
}

/// What the server itself can do: a login for each request.
async fn logins(
    bench: &mut Bench,
    cluster: &crate::world::server::Cluster,
    tenants: u32,
) -> Result<f64, ScenarioError> {
    let mut stream = Stream::selects("logins", 1, tenants, Arrivals::Closed(4), Choice::Turns);
    stream.script = Script::Login;
    stream.connections = 4;
    let plan = bench.steady(vec![stream]);
    let run = bench.drive("logins", &plan, &direct(cluster), None).await?;
    Ok(run.report.part("logins", None).goodput)
}

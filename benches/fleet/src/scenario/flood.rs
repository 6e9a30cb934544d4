//! One tenant that asks ten times as fast as its plan allows, and 99 quiet ones: what it gets, and what they notice.

use super::ScenarioError;
use super::bench::{Bench, LIMITS, gateway, within_budget};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Stream};
use crate::report::counts;
use tenancy::Limits;

const QUIET: u32 = 99;
const BUDGET: u32 = 50;

/// Requests of the quiet ones, a second, all together.
const QUIET_RATE: f64 = 50.0;

/// What each tenant's plan allows, and how much of that the flood is.
const RATE: u32 = 100;
const FLOOD: f64 = 10.0;

/// Clients of the flood: more than can wait for their turn.
const FLOOD_CLIENTS: u32 = 500;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let tenants = 1..QUIET + 2;
    let cluster = bench.cluster("flood", tenants.clone(), BUDGET).await?;
    let limits = Limits { requests_per_second: RATE, request_burst: RATE, ..LIMITS };
    let catalog = bench.catalog(limits, &cluster, tenants, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let mut quiet = Stream::selects("quiet", 2, QUIET, Arrivals::Open(QUIET_RATE), Choice::Uniform);
    quiet.connections = 4;
    let offered = f64::from(RATE) * FLOOD;
    let mut flood = Stream::selects("flood", 1, 1, Arrivals::Open(offered), Choice::Own);
    (flood.connections, flood.preconnect) = (FLOOD_CLIENTS, true);

    println!("## A tenant at {FLOOD} × its rate of {RATE} requests a second, and {QUIET} quiet ones\n");
    let alone = bench.steady(vec![quiet.clone()]);
    let alone = bench.drive("the quiet ones alone", &alone, &gateway(&ours), Some(&cluster)).await?;
    let both = bench.steady(vec![quiet, flood]);
    let both = bench.drive("beside the flood", &both, &gateway(&ours), Some(&cluster)).await?;
    let mut table =
        Table::new(&["who", "goodput/s", "p50 ms", "p99 ms", "p99 / alone", "refused", "failed", "given up"]);
    let base = alone.report.part("quiet", None).latency_ms.p99;
    for (name, stream, run) in [
        ("quiet, alone", "quiet", &alone),
        ("quiet, beside the flood", "quiet", &both),
        ("flood", "flood", &both),
    ] {
        let part = run.report.part(stream, None);
        table.row([
            name.to_owned(),
            format!("{:.0}", part.goodput),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            if stream == "quiet" { ratio(part.latency_ms.p99, base) } else { "–".to_owned() },
            part.refused.to_string(),
            counts(&part.failed),
            (part.abandoned + part.unfinished).to_string(),
        ]);
    }
    table.print();
    within_budget(&alone, BUDGET).and(within_budget(&both, BUDGET))
}

//! One tenant with 500 clients that never stop, and 99 quiet ones: what the quiet ones notice.

use super::ScenarioError;
use super::bench::{Bench, LIMITS, gateway, within_budget};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Script, Stream};
use crate::report::counts;
use tenancy::Limits;

const COLD: u32 = 99;
const HOT_USERS: u32 = 500;
const BUDGET: u32 = 50;

/// Requests of the quiet ones, a second, all together.
const COLD_RATE: f64 = 50.0;

/// Each request of the hot one holds a connection for so long.
const HELD_MS: u32 = 5;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let tenants = 1..COLD + 2;
    let cluster = bench.cluster("hot", tenants.clone(), BUDGET).await?;
    // Its own limit would let the hot one have the whole budget.
    let limits = Limits { pool_size: BUDGET, ..LIMITS };
    let catalog = bench.catalog(limits, &cluster, tenants, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let mut cold = Stream::selects("cold", 2, COLD, Arrivals::Open(COLD_RATE), Choice::Uniform);
    cold.connections = 4;
    let mut hot = Stream::selects("hot", 1, 1, Arrivals::Closed(HOT_USERS), Choice::Own);
    (hot.script, hot.connections, hot.preconnect) = (Script::Sleep(HELD_MS), HOT_USERS, true);

    println!("## One tenant with {HOT_USERS} clients and {COLD} quiet ones over {BUDGET} connections\n");
    let alone = bench.steady(vec![cold.clone()]);
    let alone = bench.drive("the quiet ones alone", &alone, &gateway(&ours), Some(&cluster)).await?;
    let both = bench.steady(vec![cold, hot]);
    let both = bench.drive("beside the hot one", &both, &gateway(&ours), Some(&cluster)).await?;
    let mut table = Table::new(&[
        "who",
        "goodput/s",
        "p50 ms",
        "p99 ms",
        "p99 / alone",
        "longest ms",
        "refused",
        "failed",
        "connections",
    ]);
    let base = alone.report.part("cold", None).latency_ms.p99;
    for (name, stream, run) in [
        ("quiet, alone", "cold", &alone),
        ("quiet, beside the hot one", "cold", &both),
        ("hot", "hot", &both),
    ] {
        let part = run.report.part(stream, None);
        table.row([
            name.to_owned(),
            format!("{:.0}", part.goodput),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            if stream == "cold" { ratio(part.latency_ms.p99, base) } else { "–".to_owned() },
            format!("{:.1}", part.longest_ms),
            part.refused.to_string(),
            counts(&part.failed),
            run.seen.sessions_max().to_string(),
        ]);
    }
    table.print();
    within_budget(&alone, BUDGET).and(within_budget(&both, BUDGET))
}

//! A loud tenant and 99 quiet ones: what the quiet ones notice, beside what they have alone.

use super::ScenarioError;
use super::bench::{Bench, Run, gateway, within_budget};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Stream};
use crate::report::counts;
use tenancy::Limits;

/// The quiet ones; the loud one is tenant 1.
pub(super) const QUIET: u32 = 99;

/// Connections that they have together.
pub(super) const BUDGET: u32 = 50;

/// Requests of the quiet ones, a second, all together.
const QUIET_RATE: f64 = 50.0;

/// The stream of the quiet ones.
const QUIET_NAME: &str = "quiet";

/// Drives the quiet ones alone and beside `loud`, and prints what came of both.
pub(super) async fn play(bench: &mut Bench, limits: Limits, loud: Stream) -> Result<(), ScenarioError> {
    let (name, tenants) = (loud.name.clone(), 1..QUIET + 2);
    let cluster = bench.cluster(&name, tenants.clone(), BUDGET).await?;
    let catalog = bench.catalog(limits, &cluster, tenants, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let arrivals = Arrivals::Open(QUIET_RATE);
    let mut quiet = Stream::selects(QUIET_NAME, 2, QUIET, arrivals, Choice::Uniform);
    quiet.connections = 4;
    let alone = bench.steady(vec![quiet.clone()]);
    let alone = bench.drive("the quiet ones alone", &alone, &gateway(&ours), Some(&cluster)).await?;
    let both = bench.steady(vec![quiet, loud]);
    let both = bench.drive("all of them", &both, &gateway(&ours), Some(&cluster)).await?;
    print(&name, &alone, &both);
    within_budget(&alone, BUDGET).and(within_budget(&both, BUDGET))
}

fn print(loud: &str, alone: &Run, both: &Run) {
    let mut table = Table::new(&[
        "who",
        "goodput/s",
        "p50 ms",
        "p99 ms",
        "p99 / alone",
        "longest ms",
        "refused",
        "failed",
        "given up",
        "connections",
    ]);
    let base = alone.report.part(QUIET_NAME, None).latency_ms.p99;
    let beside = format!("{QUIET_NAME}, beside the {loud} one");
    for (who, stream, run) in
        [("quiet, alone", QUIET_NAME, alone), (&beside, QUIET_NAME, both), (loud, loud, both)]
    {
        let part = run.report.part(stream, None);
        table.row([
            who.to_owned(),
            format!("{:.0}", part.goodput),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            if stream == QUIET_NAME { ratio(part.latency_ms.p99, base) } else { "–".to_owned() },
            format!("{:.1}", part.longest_ms),
            part.refused.to_string(),
            counts(&part.failed),
            (part.abandoned + part.unfinished).to_string(),
            run.seen.sessions_max().to_string(),
        ]);
    }
    table.print();
}

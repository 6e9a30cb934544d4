//! As much as the connections can take, then twice and ten times that: what is still done, and how the rest is refused.

use super::ScenarioError;
use super::bench::{Bench, LIMITS, gateway, within_budget};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Script, Stream};
use crate::report::counts;
use tenancy::Limits;

const TENANTS: u32 = 10;
const BUDGET: u32 = 10;

/// Each request holds a connection for so long and uses next to no CPU: it is the pool that is overloaded, not the
/// machine, which the driver shares.
const HELD_MS: u32 = 20;

/// Enough clients of each tenant that the driver has no queue of its own.
const CLIENTS: u32 = 200;

/// Finds the peak: more than fit, fewer than the queues take.
const USERS: u32 = 60;

/// Clients of one tenant that may wait.
const QUEUE: u32 = 20;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let cluster = bench.cluster("overload", 1..TENANTS + 1, BUDGET).await?;
    let limits = Limits { queue_limit: QUEUE, ..LIMITS };
    let catalog = bench.catalog(limits, &cluster, 1..TENANTS + 1, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let stream = |arrivals| {
        let mut stream = Stream::selects("all", 1, TENANTS, arrivals, Choice::Uniform);
        (stream.script, stream.connections) = (Script::Sleep(HELD_MS), CLIENTS);
        stream
    };
    println!("## Overload: {TENANTS} tenants, {BUDGET} connections, each held for {HELD_MS} ms\n");
    let plan = bench.steady(vec![stream(Arrivals::Closed(USERS))]);
    let found = bench.drive("the peak", &plan, &gateway(&ours), Some(&cluster)).await?;
    let peak = found.report.part("all", None).goodput;
    println!("{USERS} users, each of whom waits for its answer, get {peak:.0} a second.\n");

    let mut table = Table::new(&[
        "offered",
        "offered/s",
        "goodput/s",
        "of peak",
        "admitted p50 ms",
        "p99 ms",
        "max ms",
        "refused",
        "refusal p50 ms",
        "p99 ms",
        "failed",
        "given up",
        "connections",
    ]);
    let mut kept = Ok(());
    for times in [1.0, 2.0, 10.0] {
        let plan = bench.steady(vec![stream(Arrivals::Open(peak * times))]);
        let run =
            bench.drive(&format!("{times} times the peak"), &plan, &gateway(&ours), Some(&cluster)).await?;
        let part = run.report.part("all", None);
        table.row([
            format!("{times} ×"),
            format!("{:.0}", peak * times),
            format!("{:.0}", part.goodput),
            ratio(part.goodput, peak),
            format!("{:.1}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            format!("{:.1}", part.latency_ms.max),
            part.refused.to_string(),
            format!("{:.2}", part.refusal_ms.p50),
            format!("{:.2}", part.refusal_ms.p99),
            counts(&part.failed),
            (part.abandoned + part.unfinished).to_string(),
            run.seen.sessions_max().to_string(),
        ]);
        kept = kept.and(within_budget(&run, BUDGET));
    }
    table.print();
    kept
}

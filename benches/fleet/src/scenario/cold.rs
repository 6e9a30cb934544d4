//! Many tenants known, a tenth of them active in turn, beside one tenant; and what the first query of a cold one costs.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, Run, direct, gateway};
use super::table::{Table, ratio};
use crate::plan::{Arrivals, Choice, Stream, Window};
use crate::world::server::Cluster;
use std::time::Duration;

/// Users at once.
const USERS: u32 = 16;

/// Cold tenants a second, so that their logins do not meet.
const COLD_RATE: f64 = 10.0;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let (known, active) = (bench.options.size(10_000, 1_000), bench.options.size(1_000, 100));
    let cold = active.min(bench.options.size(200, 60));
    // Active ones, cold ones for the gateway, and cold ones for whoever visits the server itself.
    let made = 1..active + 2 * cold + 1;
    // The gateway keeps a connection for each active tenant, and so does the driver when it drives the server itself.
    let budget = made.end + USERS;
    let cluster = bench.cluster(&format!("cold-{known}"), made.clone(), 2 * budget).await?;
    let catalog = bench.catalog(LIMITS, &cluster, 1..known + 1, budget).await?;
    let ours = bench.gateway(&catalog).await?;
    println!("## {known} tenants known, {active} active in turn, beside one\n");
    println!("The gateway was ready {:.2} s after its start.\n", ours.ready_seconds);
    warmth(bench, &[direct(&cluster), gateway(&ours)], &cluster, active).await?;
    first_visits(bench, &gateway(&ours), &cluster, active, cold).await
}

/// Tenants whose connections are all open already.
async fn warmth(
    bench: &mut Bench,
    targets: &[Driven],
    cluster: &Cluster,
    active: u32,
) -> Result<(), ScenarioError> {
    let mut one = Stream::selects("all", 1, 1, Arrivals::Closed(USERS), Choice::Own);
    (one.connections, one.preconnect) = (USERS, true);
    let mut many = Stream::selects("all", 1, active, Arrivals::Closed(USERS), Choice::Turns);
    many.preconnect = true;
    // Long enough that each has had its first query before anything is counted.
    let length = bench.options.warm_up() + Duration::from_millis(u64::from(active) * 10);
    let windows = vec![Window::warm_up(length), Window::counted("steady", bench.options.window())];
    let plans = [bench.steady(vec![one]), bench.plan(windows, vec![many])];
    let mut table =
        Table::new(&["target", "tenants", "tx/s", "of one tenant's", "p50 ms", "p99 ms", "connections"]);
    let mut kept = Vec::new();
    for target in targets {
        let few = bench.drive("one tenant", &plans[0], target, Some(cluster)).await?;
        let many = bench.drive("in turn", &plans[1], target, Some(cluster)).await?;
        let base = few.report.part("all", None).goodput;
        kept.push(many.report.part("all", None).goodput / base.max(f64::MIN_POSITIVE));
        for (tenants, run) in [(1, &few), (active, &many)] {
            let part = run.report.part("all", None);
            table.row([
                target.name.to_owned(),
                tenants.to_string(),
                format!("{:.0}", part.goodput),
                ratio(part.goodput, base),
                format!("{:.3}", part.latency_ms.p50),
                format!("{:.3}", part.latency_ms.p99),
                run.seen.sessions_max().to_string(),
            ]);
        }
    }
    table.print();
    // What many databases cost the server itself is no pooler's matter.
    if let [server, gateway] = kept[..] {
        println!(
            "In turn the gateway keeps {gateway:.2} of one tenant's throughput, the server itself {server:.2}: {}.\n",
            ratio(gateway, server)
        );
    }
    Ok(())
}

/// The first visit (login and query) to tenants that nobody has asked for, beside visits to others, and visits to the
/// server, in databases that nobody has asked for either: their catalogs are in nobody's memory yet.
async fn first_visits(
    bench: &mut Bench,
    ours: &Driven,
    cluster: &Cluster,
    active: u32,
    cold: u32,
) -> Result<(), ScenarioError> {
    // Half as many requests as tenants: chance brings a few more than planned, and none may come round twice.
    let length = Duration::from_secs_f64(f64::from(cold) / COLD_RATE / 2.0);
    let windows = vec![Window::counted("steady", length)];
    let visits = |first, tenants| {
        let mut stream = Stream::selects("all", first, tenants, Arrivals::Open(COLD_RATE), Choice::Turns);
        stream.login_each = true;
        bench.plan(windows.clone(), vec![stream])
    };
    let (colds, warms) = (visits(active + 1, cold), visits(1, active.min(cold)));
    let bare = visits(active + cold + 1, cold);
    let first = bench.drive("cold tenants", &colds, ours, None).await?;
    let later = bench.drive("warm tenants", &warms, ours, None).await?;
    let bare = bench.drive("visits to the server", &bare, &direct(cluster), None).await?;
    let mut table = Table::new(&["visit", "login p50 ms", "query p50 ms", "both p50 ms", "both p95 ms"]);
    let both = |run: &Run| run.report.part("all", None).latency_ms;
    for (name, run) in [("cold tenant", &first), ("warm tenant", &later), ("the server itself, cold", &bare)]
    {
        let part = run.report.part("all", None);
        table.row([
            name.to_owned(),
            format!("{:.2}", part.login_ms.p50),
            format!("{:.2}", part.service_ms.p50),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.2}", part.latency_ms.p95),
        ]);
    }
    table.print();
    let (more, there) = (both(&first).p50 - both(&later).p50, both(&bare).p50);
    let login = bare.report.part("all", None).login_ms.p50;
    println!(
        "A cold tenant costs {more:.2} ms more: {} of a login to the server ({login:.2} ms), {} of a visit there ({there:.2} ms).\n",
        ratio(more, login),
        ratio(more, there)
    );
    Ok(())
}

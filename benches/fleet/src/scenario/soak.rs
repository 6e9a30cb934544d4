//! Everything at once for ten minutes: memory and descriptors by thirds, which have to be flat.

use super::ScenarioError;
use super::bench::{Bench, LIMITS, gateway, within_budget};
use super::table::Table;
use crate::plan::{Arrivals, Choice, Mode, Script, Stream, Window};
use crate::report::counts;
use std::time::Duration;

const TENANTS: u32 = 100;
const BUDGET: u32 = 60;
const THIRDS: [&str; 3] = ["first third", "second third", "last third"];
const SECONDS_LONG: u64 = 600;
const SECONDS_SHORT: u64 = 30;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let tenants = 1..TENANTS + 1;
    let cluster = bench.cluster("soak", tenants.clone(), BUDGET).await?;
    let catalog = bench.catalog(LIMITS, &cluster, tenants, BUDGET).await?;
    let ours = bench.gateway(&catalog).await?;
    let fallback = if bench.options.long { SECONDS_LONG } else { SECONDS_SHORT };
    let seconds = bench.options.seconds.unwrap_or(fallback);
    let third = Duration::from_millis(seconds * 1000 / 3);
    let mut windows = vec![Window::warm_up(bench.options.warm_up())];
    windows.extend(THIRDS.map(|name| Window::counted(name, third)));
    let plan = bench.plan(windows, streams());
    let run = bench.drive("everything", &plan, &gateway(&ours), Some(&cluster)).await?;

    println!("## {seconds} seconds of everything: {TENANTS} tenants over {BUDGET} connections\n");
    let mut table =
        Table::new(&["window", "resident KiB, most", "descriptors, most", "CPU s", "connections, most"]);
    for name in THIRDS {
        let seen = run.seen_in(name);
        table.row([
            name.to_owned(),
            seen.rss_max().to_string(),
            seen.files_max().to_string(),
            format!("{:.2}", seen.cpu_seconds()),
            format!("{} ({} of one database)", seen.sessions_max(), seen.sessions_of_one_max()),
        ]);
    }
    table.print();
    let mut table =
        Table::new(&["stream", "window", "goodput/s", "p50 ms", "p99 ms", "longest ms", "refused", "failed"]);
    for part in &run.report.parts {
        table.row([
            part.stream.clone(),
            part.window.clone(),
            format!("{:.0}", part.goodput),
            format!("{:.2}", part.latency_ms.p50),
            format!("{:.1}", part.latency_ms.p99),
            format!("{:.1}", part.longest_ms),
            part.refused.to_string(),
            format!("{}, given up {}", counts(&part.failed), part.abandoned + part.unfinished),
        ]);
    }
    table.print();
    within_budget(&run, BUDGET)
}

/// Every script and every form, with connections that stay and connections that do not.
fn streams() -> Vec<Stream> {
    let stream = |name, rate, script, mode| {
        let choice = Choice::Zipf(1.0);
        let mut stream = Stream::selects(name, 1, TENANTS, Arrivals::Open(rate), choice);
        (stream.connections, stream.script, stream.mode) = (4, script, mode);
        stream
    };
    let mut visits = stream("a login each", 10.0, Script::Select, Mode::Simple);
    visits.login_each = true;
    vec![
        stream("simple", 60.0, Script::Select, Mode::Simple),
        stream("extended", 60.0, Script::Select, Mode::Extended),
        stream("prepared", 60.0, Script::Select, Mode::Prepared),
        stream("transactions", 20.0, Script::Transaction, Mode::Prepared),
        visits,
    ]
}

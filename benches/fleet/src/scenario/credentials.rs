//! What a pooler's memory grows by for each user that it knows and that has logged in once.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, bouncer, gateway};
use super::table::Table;
use crate::plan::{Arrivals, Choice, Script, Stream, Window};
use crate::report::{counts, number};
use crate::watch::Process;
use crate::world::pgbouncer::Settings;
use std::time::Duration;

/// Logins a second.
const RATE: f64 = 200.0;

/// What is freed late, or belongs to a client that has just left, is not a user's.
const SETTLING: Duration = Duration::from_secs(2);

/// Tenants that have a database, so that a first login can learn what servers report.
const MADE: u32 = 5;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let users = bench.options.size(10_000, 1_000);
    let cluster = bench.cluster("credentials", 1..MADE + 1, 50).await?;
    println!("## Memory for each of {users} users\n");
    let mut table = Table::new(&["target", "before KiB", "after KiB", "bytes a user", "logins", "failed"]);

    let catalog = bench.catalog(LIMITS, &cluster, 1..users + 1, 50).await?;
    let ours = bench.gateway(&catalog).await?;
    let few = logins(bench, &gateway(&ours), 1, MADE, MADE).await?;
    let before = resident(few.1).await;
    let (run, pid) = logins(bench, &gateway(&ours), MADE + 1, users - MADE, users - MADE).await?;
    let after = resident(pid).await;
    row(&mut table, "gateway, each logged in once", before, after, users - MADE, &run);
    drop(ours);

    let settings = |users| Settings {
        server_port: cluster.server.port(),
        users,
        pool_size: LIMITS.pool_size,
        prepared: false,
    };
    if let Some(small) = bench.pgbouncer(settings(MADE)).await? {
        let (_, pid) = logins(bench, &bouncer(&small), 1, MADE, MADE).await?;
        let before = resident(pid).await;
        drop(small);
        if let Some(large) = bench.pgbouncer(settings(users)).await? {
            let (run, pid) = logins(bench, &bouncer(&large), 1, MADE, MADE).await?;
            row(&mut table, "PgBouncer, none logged in", before, resident(pid).await, users - MADE, &run);
        }
    }
    table.print();
    Ok(())
}

/// Each of these tenants logs in at least once, and leaves.
async fn logins(
    bench: &mut Bench,
    target: &Driven,
    first: u32,
    tenants: u32,
    times: u32,
) -> Result<(super::bench::Run, Option<u32>), ScenarioError> {
    let mut stream = Stream::selects("logins", first, tenants, Arrivals::Open(RATE), Choice::Turns);
    (stream.script, stream.connections) = (Script::Login, 4);
    // Chance may bring fewer than planned.
    let length = Duration::from_secs_f64(1.0 + 1.05 * f64::from(times) / RATE);
    let plan = bench.plan(vec![Window::counted("all", length)], vec![stream]);
    Ok((bench.drive("logins", &plan, target, None).await?, target.pid))
}

async fn resident(pid: Option<u32>) -> f64 {
    tokio::time::sleep(SETTLING).await;
    pid.and_then(Process::look).map_or(0.0, |process| number(process.rss_kib))
}

fn row(table: &mut Table, name: &str, before: f64, after: f64, users: u32, run: &super::bench::Run) {
    let part = run.report.part("logins", None);
    table.row([
        name.to_owned(),
        format!("{before:.0}"),
        format!("{after:.0}"),
        format!("{:.0}", (after - before) * 1024.0 / f64::from(users)),
        part.ok.to_string(),
        format!("{} ({} refused)", counts(&part.failed), part.refused),
    ]);
}

//! What a pooler's memory grows by for each user that it knows, and for each tenant.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS, Run, bouncer, gateway};
use super::table::Table;
use crate::plan::{Arrivals, Choice, Script, Stream, Window};
use crate::report::{counts, number};
use crate::watch::Process;
use crate::world::pgbouncer::Settings;
use crate::world::server::Cluster;
use crate::world::user_target;
use std::time::Duration;

/// Logins a second.
const RATE: f64 = 200.0;

/// What is freed late, or belongs to a client that has just left, is not a user's.
const SETTLING: Duration = Duration::from_secs(2);

/// Users of one tenant; a catalog takes no more.
const USERS_EACH: u32 = catalog_schema::CREDENTIALS_LIVE_MAX;

/// Tenants whose databases are there.
const MADE_LONG: u32 = 157;
const MADE_SHORT: u32 = 20;

/// Resident memory after the last login, and how the logins went.
struct Grown {
    kib: f64,
    run: Run,
}

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let made = bench.options.size(MADE_LONG, MADE_SHORT);
    let users = made * USERS_EACH;
    let budget = made + 20;
    let cluster = bench.cluster("credentials", 1..made + 1, budget).await?;
    println!("## Memory for each of {users} users\n");
    let mut table = Table::new(&["what", "without KiB", "with KiB", "bytes each", "logins", "failed"]);

    let single = logged_in(bench, &cluster, 1..made + 1, 1, users).await?;
    let all = logged_in(bench, &cluster, 1..made + 1, USERS_EACH, users).await?;
    row(&mut table, "gateway: a user", single.kib, &all, users - made);
    let known = logged_in(bench, &cluster, 1..made + 1 + users, 1, users).await?;
    row(
        &mut table,
        "gateway: a tenant looked up, whose database is not there",
        single.kib,
        &known,
        users - made,
    );

    if let (Some(few), Some(many)) =
        (theirs(bench, &cluster, made).await?, theirs(bench, &cluster, users).await?)
    {
        row(&mut table, "PgBouncer: a user in its file", few.kib, &many, users - made);
    }
    table.print();
    Ok(())
}

/// A new gateway that knows these tenants with so many users each, after so many logins as all of them in turn.
async fn logged_in(
    bench: &mut Bench,
    cluster: &Cluster,
    known: std::ops::Range<u32>,
    users_each: u32,
    logins: u32,
) -> Result<Grown, ScenarioError> {
    let catalog = bench
        .catalog_with_users(LIMITS, cluster, known.clone(), cluster.spec.connections, users_each)
        .await?;
    let ours = bench.gateway(&catalog).await?;
    let tenants = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let driven = Driven { target: user_target(ours.port, known, users_each), ..gateway(&ours) };
    log_in(bench, &driven, tenants * users_each, logins).await
}

/// A PgBouncer with so many users in its file, after some logins.
async fn theirs(bench: &mut Bench, cluster: &Cluster, users: u32) -> Result<Option<Grown>, ScenarioError> {
    let (server_port, pool_size) = (cluster.server.port(), LIMITS.pool_size);
    let settings = Settings { server_port, users, pool_size, prepared: false };
    let Some(started) = bench.pgbouncer(settings).await? else { return Ok(None) };
    let made = u32::try_from(cluster.spec.tenants.len()).unwrap_or(u32::MAX);
    log_in(bench, &bouncer(&started), made, made).await.map(Some)
}

/// As each user at least once, if there are not more users than logins.
async fn log_in(bench: &mut Bench, driven: &Driven, users: u32, logins: u32) -> Result<Grown, ScenarioError> {
    let mut stream = Stream::selects("logins", 1, users, Arrivals::Open(RATE), Choice::Turns);
    (stream.script, stream.connections) = (Script::Login, 4);
    // Chance may bring fewer than planned.
    let length = Duration::from_secs_f64(1.0 + 1.05 * f64::from(logins) / RATE);
    let plan = bench.plan(vec![Window::counted("all", length)], vec![stream]);
    let run = bench.drive("logins", &plan, driven, None).await?;
    tokio::time::sleep(SETTLING).await;
    let kib = driven.pid.and_then(Process::look).map_or(0.0, |process| number(process.rss_kib));
    Ok(Grown { kib, run })
}

fn row(table: &mut Table, name: &str, without: f64, with: &Grown, more: u32) {
    let part = with.run.report.part("logins", None);
    table.row([
        name.to_owned(),
        format!("{without:.0}"),
        format!("{:.0}", with.kib),
        format!("{:.0}", (with.kib - without) * 1024.0 / f64::from(more)),
        part.ok.to_string(),
        format!("{}, refused {}", counts(&part.failed), part.refused),
    ]);
}

//! Several gateways over one cluster, with more to do than its budget allows.

use harness::{ChildProcess, Direction, End, Fault, FaultProxy, Stack, Tenant, eventually, wait_until};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use suites::{admin, plans};
use tenantry::client::path;
use tenantry::dev::{ClusterSpec, StackOptions};
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::Config;

pub(crate) const CLUSTER: &str = "eu-1";
const TENANTS: usize = 3;

/// Clients of each tenant at each gateway that works: those of two are more than there are connections, also while some of
/// them are between two requests because the machine is busy.
const EACH: usize = 11;

/// Connections that gateways hold, as the server counts them.
const HELD: &str = "select count(*) from pg_stat_activity where usename like 't\\_%'";

/// Renewed often, so that what is lost is lost soon.
pub(crate) const HEARTBEAT_MS: u64 = 1_000;

/// What clients ask for: it takes a connection for much longer than a client takes to ask again, and no processor.
const REQUEST: &str = "select pg_sleep(0.25)";

/// What a server writes to its log when it refuses one connection too many.
const ONE_TOO_MANY: [&str; 2] = ["connection slots are reserved", "too many clients already"];

/// Between two looks at the server, which has other things to do.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// The stack with one gateway in this process, and tenants with more patience than any test.
pub(crate) async fn stack(budget: u32) -> (Stack, Vec<Tenant>) {
    let mut cluster = ClusterSpec::new(CLUSTER, "eu");
    cluster.connection_budget = budget;
    let options = StackOptions::ephemeral()
        .clusters(vec![cluster])
        .gateway(|config| config.routes.heartbeat_interval_ms = HEARTBEAT_MS);
    let stack = Stack::start_with(options).await;
    plans::add(&stack, "patient", plans::limits(100, 1_000, 10_000, 600_000)).await;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let body = serde_json::json!({ "slug": format!("t{number}"), "region": "eu", "plan": "patient" });
        tenants.push(stack.create_tenant_with(body).await);
    }
    (stack, tenants)
}

/// The server itself lets tenants' roles have no more connections than the budget, while a superuser (who is counted
/// too) watches: one too many fails.
pub(crate) async fn hold_server_to_its_budget(stack: &mut Stack) {
    let admin = admin::connect(stack, CLUSTER).await;
    let beside = "select format('alter system set superuser_reserved_connections = %s',
                    current_setting('max_connections')::integer - connection_budget - 1)
                  from (select $1::integer as connection_budget) b";
    let budget = stack.client().get("/v1/clusters/eu-1").await.expect("known")["connection_budget"].as_i64();
    let budget = i32::try_from(budget.expect("a number")).expect("small");
    let statement: String = admin.query_one(beside, &[&budget]).await.expect("the cluster answers").get(0);
    admin.batch_execute(&statement).await.expect("a superuser may");
    stack.cluster(CLUSTER).expect("it is ours").restart().await.expect("it comes up again");
}

/// How often the server has refused one connection too many, as it says itself.
pub(crate) fn refused_by_server(stack: &mut Stack) -> usize {
    let log = stack.cluster(CLUSTER).expect("it is ours").log_path();
    let said = String::from_utf8_lossy(&std::fs::read(log).expect("it keeps a log")).into_owned();
    said.lines().filter(|line| ONE_TOO_MANY.iter().any(|words| line.contains(words))).count()
}

/// The gateways' shares, as the API shows them.
pub(crate) async fn shares(stack: &Stack) -> Vec<serde_json::Value> {
    let cluster = stack.client().get(&path(&["clusters", CLUSTER])).await.expect("known");
    cluster["shares"].as_array().expect("shares").clone()
}

/// Waits until every gateway was told this floor: it becomes smaller with the number of gateways, one after the other.
pub(crate) async fn floors_are(stack: &Stack, floor: u32) {
    wait_until("all floors are even", async || {
        shares(stack).await.iter().all(|share| share["floor"] == floor)
    })
    .await;
}

/// A way to one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) port: u16,
    pub(crate) admin: String,
}

impl Entry {
    /// The stack's own gateway.
    pub(crate) fn of(stack: &Stack) -> Self {
        Self { port: stack.addresses().pg.port(), admin: stack.descriptor().gateway.admin.clone() }
    }

    /// One more gateway in this process.
    pub(crate) async fn another(stack: &mut Stack) -> Self {
        let addresses = stack.start_another_gateway().await.expect("another gateway");
        Self { port: addresses.pg.port(), admin: format!("http://{}", addresses.admin) }
    }

    /// The sum of a metric's series.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        self.metric_of(name, "").await
    }

    /// The sum of a metric's series that have the label's value.
    pub(crate) async fn metric_of(&self, name: &str, value: &str) -> Option<f64> {
        Some(sum_of(&self.metrics().await?, name, value))
    }

    async fn metrics(&self) -> Option<String> {
        reqwest::get(format!("{}/metrics", self.admin)).await.ok()?.text().await.ok()
    }

    /// Waits until this gateway may hold at least so many connections.
    pub(crate) async fn has_share_of(&self, at_least: f64) {
        let what = format!("{self:?} has a share of {at_least}");
        let mut seen = LastSeen::default();
        eventually(&what, async || {
            seen.0 = self.metrics().await?;
            (sum_of(&seen.0, "tenantry_cluster_share", "") >= at_least).then_some(())
        })
        .await;
    }

    /// The same tenant through this gateway.
    pub(crate) fn through(&self, tenant: &Tenant) -> Config {
        let usual = tenant.config();
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("app").dbname(&tenant.slug);
        config.password(usual.get_password().expect("a password"));
        config
    }
}

fn sum_of(metrics: &str, name: &str, value: &str) -> f64 {
    let series = metrics.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(value))
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A gateway's metrics, of which a test that fails says what concerns clusters.
#[derive(Default)]
struct LastSeen(String);

impl Drop for LastSeen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let clusters = self.0.lines().filter(|line| line.starts_with("tenantry_cluster_"));
            eprintln!("{}", clusters.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A gateway in a process of its own, with a wire to the catalog that can be cut.
pub(crate) struct OwnProcess {
    pub(crate) child: ChildProcess,
    pub(crate) entry: Entry,
    wire: FaultProxy,
}

impl OwnProcess {
    pub(crate) async fn start(stack: &Stack) -> Self {
        let catalog: Config = stack.descriptor().catalog_dsn.parse().expect("a DSN");
        let port = catalog.get_ports()[0];
        let wire = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], port))).await;
        let through = stack
            .descriptor()
            .catalog_dsn
            .replace(&format!(":{port}/"), &format!(":{}/", wire.address().port()));
        let [pg, http, admin] = [(); 3].map(|()| free_port());
        let text = std::fs::read_to_string(stack.gateway_config()).expect("the stack has written it");
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("pg", _)) => format!("pg = \"127.0.0.1:{pg}\"\n"),
            Some(("http", _)) => format!("http = \"127.0.0.1:{http}\"\n"),
            Some(("admin", _)) => format!("admin = \"127.0.0.1:{admin}\"\n"),
            Some(("dsn_file", _)) => format!("dsn = \"{through}\"\n"),
            _ => format!("{line}\n"),
        });
        let text =
            format!("{}\n[routes]\nheartbeat_interval_ms = {HEARTBEAT_MS}\n", lines.collect::<String>());
        let path = stack.gateway_config().with_file_name(format!("gateway-{pg}.toml"));
        std::fs::write(&path, text).expect("the stack's directory is ours");
        let mut child = ChildProcess::tenantry(["gateway", "--config", &path.display().to_string()]);
        let entry = Entry { port: pg, admin: format!("http://127.0.0.1:{admin}") };
        let ready = format!("{}/readyz", entry.admin);
        eventually("the gateway is ready", async || {
            assert!(child.is_running(), "the gateway ended: {}", child.said());
            reqwest::get(&ready).await.ok()?.status().is_success().then_some(())
        })
        .await;
        Self { child, entry, wire }
    }

    /// Nothing passes between it and the catalog any more, and neither is told.
    pub(crate) fn cut_off(&self) {
        for direction in [Direction::ToTarget, Direction::FromTarget] {
            self.wire.set(direction, Fault::After(0, End::BlackHole));
        }
        self.wire.end_all(End::BlackHole);
    }

    /// The way to the catalog is open again.
    pub(crate) fn mend(&self) {
        for direction in [Direction::ToTarget, Direction::FromTarget] {
            self.wire.set(direction, Fault::None);
        }
        self.wire.end_all(End::Reset);
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Clients that ask all the time, and must not be refused.
pub(crate) struct Work {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Work {
    /// Clients of every tenant through the gateway. They log in one after the other: logins are not what is tried
    /// here.
    pub(crate) async fn start(entry: &Entry, tenants: &[Tenant]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        for config in tenants.iter().flat_map(|tenant| std::iter::repeat_n(entry.through(tenant), EACH)) {
            let stop = Arc::clone(&stop);
            let login = async || config.connect(tokio_postgres::NoTls).await.ok();
            let (client, connection) = eventually("a client is let in", login).await;
            clients.spawn(async move {
                tokio::spawn(connection);
                while !stop.load(Ordering::Acquire) {
                    client.batch_execute(REQUEST).await.expect("served");
                }
            });
        }
        Self { stop, clients }
    }

    /// They end after what they are about; each was served throughout.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.clients.join_all().await;
    }

    /// They are not to mind what becomes of their gateway from now on.
    pub(crate) fn abandon(mut self) {
        self.clients.abort_all();
    }
}

/// Asks the server again and again how many connections it sees, and remembers the most.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicI64>,
    now: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) async fn start(stack: &Stack) -> Self {
        let admin = admin::connect(stack, CLUSTER).await;
        let (stop, most, now) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default(), Arc::default());
        let (stopped, seen, last) = (Arc::clone(&stop), Arc::clone(&most), Arc::<AtomicI64>::clone(&now));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Acquire) {
                let held: i64 = admin.query_one(HELD, &[]).await.expect("the cluster answers").get(0);
                seen.fetch_max(held, Ordering::AcqRel);
                last.store(held, Ordering::Release);
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        });
        Self { stop, most, now, task }
    }

    /// How many there are.
    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Acquire)
    }

    /// Forgets what was seen so far, and returns it.
    pub(crate) fn most(&self) -> i64 {
        self.most.swap(0, Ordering::AcqRel)
    }

    pub(crate) async fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Release);
        self.task.await.expect("the watcher lives");
        self.most.load(Ordering::Acquire)
    }
}

//! Those who work: programs, drivers, and clients of our own.

use futures_util::{SinkExt, TryStreamExt};
use harness::wire::{Message, WireClient};
use harness::{Stack, Tenant, Tool};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use suites::load::Load;
use suites::nonce::Owner;
use tokio::task::JoinSet;

/// Whoever was cut off does not come back as a flood.
const COMES_BACK_AFTER: Duration = Duration::from_millis(50);

/// One run of pgbench; the next begins when it ends.
const PGBENCH_SECONDS: &str = "10";

/// Whoever hears nothing for so long leaves.
const PATIENCE: Duration = Duration::from_secs(20);

const LARGE: usize = 100_000;

/// What the actors share.
#[derive(Default)]
struct Scene {
    is_over: AtomicBool,
    copies: AtomicU64,
    notified: AtomicU64,
    http: AtomicU64,
    visits: AtomicU64,
    benches: AtomicU64,
    /// What failed although it was tried again, where nothing may fail.
    failed: AtomicU64,
}

impl Scene {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Counts what was done, or that it failed.
    async fn note(&self, count: &AtomicU64, may_fail: bool, outcome: Option<()>) {
        if outcome.is_some() {
            count.fetch_add(1, Ordering::AcqRel);
        } else {
            self.failed.fetch_add(u64::from(!may_fail), Ordering::AcqRel);
            tokio::time::sleep(COMES_BACK_AFTER).await;
        }
    }
}

/// Everybody who works.
pub(crate) struct Actors {
    scene: Arc<Scene>,
    working: JoinSet<()>,
    steady: Load,
    shaky: Load,
    /// The tenant that all trouble is meant for.
    pub(crate) shaken: Tenant,
}

impl Actors {
    /// On `eu-1` nothing happens; on `us-1`, and through `troubled`, everything does.
    pub(crate) async fn start(stack: &Stack, troubled: SocketAddr) -> Self {
        let tenant = async |slug: &str, region: &str| {
            stack
                .create_tenant_with(serde_json::json!({ "slug": slug, "region": region, "plan": "soak" }))
                .await
        };
        let (calm, bench) = (tenant("calm", "eu").await, tenant("bench", "eu").await);
        let shaken = tenant("shaken", "us").await;
        let tables = "create table copied (t text); create table kept (n int)";
        for tenant in [&calm, &shaken] {
            tenant.connect().await.batch_execute(tables).await.expect("tables can be made");
        }
        let dsn = bench.connection_string.clone();
        let _ = Tool::Pgbench.run(["-i", "-q", "-s", "1", &dsn], "").await.success();
        let scene = Arc::<Scene>::default();
        let mut working = JoinSet::new();
        for (mode, tls) in [("simple", "disable"), ("extended", "require"), ("prepared", "disable")] {
            working.spawn(benches(Arc::clone(&scene), bench.clone(), mode, tls));
        }
        for (tenant, may_fail) in [(&calm, false), (&shaken, true)] {
            working.spawn(copies(Arc::clone(&scene), tenant.clone(), may_fail));
            working.spawn(listens(Arc::clone(&scene), tenant.clone(), may_fail));
            working.spawn(asks_by_http(Arc::clone(&scene), tenant.clone(), may_fail));
            working.spawn(comes_and_goes(Arc::clone(&scene), tenant.clone(), may_fail));
        }
        let broken = through(&shaken, troubled);
        working.spawn(comes_and_goes(Arc::clone(&scene), broken, true));
        let (steady, shaky) = (Load::start(&calm, 8), Load::start(&shaken, 8));
        Self { scene, working, steady, shaky, shaken }
    }

    pub(crate) fn summary(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        format!(
            "pipelines {} and {} (failed {} and {}), pgbench runs {}, copies {}, notified {}, http {}, visits {}",
            self.steady.answered(),
            self.shaky.answered(),
            self.steady.failed(),
            self.shaky.failed(),
            count(&self.scene.benches),
            count(&self.scene.copies),
            count(&self.scene.notified),
            count(&self.scene.http),
            count(&self.scene.visits),
        )
    }

    /// Lets everybody end what they do, and says what they did.
    pub(crate) async fn stop(self) -> String {
        let summary = self.summary();
        self.scene.is_over.store(true, Ordering::Release);
        assert_eq!(self.steady.failed(), 0, "where nothing happens nothing fails");
        self.steady.stop().await;
        self.shaky.stop().await;
        self.working.join_all().await;
        assert_eq!(self.scene.failed.load(Ordering::Acquire), 0, "where nothing happens nothing fails");
        summary
    }
}

/// The tenant, reached at another address.
fn through(tenant: &Tenant, address: SocketAddr) -> Tenant {
    let port = tenant.config().get_ports()[0];
    let connection_string =
        tenant.connection_string.replace(&format!(":{port}/"), &format!(":{}/", address.port()));
    assert_ne!(connection_string, tenant.connection_string, "the address has changed");
    Tenant { connection_string, ..tenant.clone() }
}

async fn benches(scene: Arc<Scene>, tenant: Tenant, mode: &'static str, tls: &'static str) {
    let dsn = format!("{}?sslmode={tls}", tenant.connection_string);
    while !scene.is_over() {
        let arguments = ["-n", "-M", mode, "-c", "2", "-T", PGBENCH_SECONDS, &dsn];
        let output = Tool::Pgbench.run(arguments, "").await;
        if output.code != Some(0) {
            println!("pgbench -M {mode}: {}", output.stderr);
        }
        scene.note(&scene.benches, false, (output.code == Some(0)).then_some(())).await;
    }
}

async fn copies(scene: Arc<Scene>, tenant: Tenant, may_fail: bool) {
    while !scene.is_over() {
        scene.note(&scene.copies, may_fail, copy(&tenant).await).await;
    }
}

async fn copy(tenant: &Tenant) -> Option<()> {
    let client = tenant.try_connect().await.ok()?;
    let line = bytes::Bytes::from(format!("{}\n", "x".repeat(LARGE)));
    let sink = client.copy_in("copy copied from stdin").await.ok()?;
    let mut sink = std::pin::pin!(sink);
    for _ in 0..5 {
        sink.send(line.clone()).await.ok()?;
    }
    sink.finish().await.ok()?;
    let mut out = std::pin::pin!(client.copy_out("copy copied to stdout").await.ok()?);
    let mut bytes = 0;
    while let Some(part) = out.try_next().await.ok()? {
        bytes += part.len();
    }
    client.batch_execute("truncate copied").await.ok()?;
    (bytes >= LARGE).then_some(())
}

async fn listens(scene: Arc<Scene>, tenant: Tenant, may_fail: bool) {
    while !scene.is_over() {
        scene.note(&scene.notified, may_fail, hear(&scene, &tenant).await).await;
    }
}

/// Hears what it says itself, along with an answer or behind it.
async fn hear(scene: &Scene, tenant: &Tenant) -> Option<()> {
    let mark = Owner::anew().mark(1);
    let mut client = WireClient::login(&tenant.config()).await.ok()?;
    succeeded(client.query("listen news").await.ok()?)?;
    let mut answer = succeeded(client.query(&format!("notify news, '{mark}'")).await.ok()?)?;
    let is_mine = |message: &Message| {
        message.tag == b'A' && message.body.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    while !answer.iter().any(is_mine) && !scene.is_over() {
        answer = succeeded(client.query("select pg_sleep(0.01)").await.ok()?)?;
    }
    Some(())
}

fn succeeded(answer: Vec<Message>) -> Option<Vec<Message>> {
    let failed = answer.iter().any(|message| message.tag == b'E');
    (!failed).then_some(answer)
}

async fn asks_by_http(scene: Arc<Scene>, tenant: Tenant, may_fail: bool) {
    let http = reqwest::Client::new();
    while !scene.is_over() {
        scene.note(&scene.http, may_fail, ask_by_http(&http, &tenant).await).await;
    }
}

async fn ask_by_http(http: &reqwest::Client, tenant: &Tenant) -> Option<()> {
    let mark = Owner::anew().mark(1);
    let body = serde_json::json!({ "query": "select $1::text as mark, repeat('x', 1000)", "params": [mark] });
    let request = http.post(&tenant.http_endpoint).bearer_auth(&tenant.api_key).json(&body);
    let answer: serde_json::Value = request.send().await.ok()?.json().await.ok()?;
    let row = answer.pointer("/rows/0/mark")?.as_str()?;
    assert_eq!(row, mark, "a stranger's row");
    Some(())
}

async fn comes_and_goes(scene: Arc<Scene>, tenant: Tenant, may_fail: bool) {
    let mut visits = 0_u64;
    while !scene.is_over() {
        visits += 1;
        scene.note(&scene.visits, may_fail, visit(&tenant, visits.is_multiple_of(3)).await).await;
    }
}

/// Logs in, asks for something large, leaves without a word, perhaps in a transaction.
async fn visit(tenant: &Tenant, in_transaction: bool) -> Option<()> {
    let owner = Owner::anew();
    let config = tenant.config();
    let login = tokio::time::timeout(PATIENCE, WireClient::login(&config));
    let mut client = login.await.ok()?.ok()?;
    let begin = if in_transaction { "begin; insert into kept values (1);" } else { "" };
    let query = format!("{begin} select '{}' || repeat('x', {LARGE})", owner.mark(1));
    let answer = tokio::time::timeout(PATIENCE, client.query(&query)).await.ok()?.ok()?;
    let stranger = answer.iter().find_map(|message| owner.stranger_in(&message.body));
    assert!(stranger.is_none(), "{owner:?} has read {stranger:?}'s");
    answer.iter().any(|message| message.tag == b'D').then_some(())
}

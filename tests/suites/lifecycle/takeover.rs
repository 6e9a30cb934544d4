//! Another gateway listens on the same ports, the first one is told to stop, and nobody fails.
//!
//! What that means: a connection that is made is served. A request is answered; or it is refused with 57P01, was not
//! done, and the client connects again. A transaction that has begun ends.

use super::{farewell, login, run};
use harness::wire::WireClient;
use harness::{ChildProcess, Stack, Tenant, wait_until};
use pgwire::backend::TransactionStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tenantry::dev::StackOptions;
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Drivers that keep their connections, and clients that come for one question each.
const KEEPING: usize = 6;
const COMING: usize = 6;

/// Longer than any test.
const DRAIN_TIMEOUT_MS: u64 = 60_000;

/// Gateways that follow the first.
const TAKEOVERS: usize = 2;

async fn stack() -> (Stack, Tenant) {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let tenant = stack.create_tenant("handed-over", "eu").await;
    run(&mut login(&tenant).await, "create table done (n bigint primary key)").await;
    stack.stop_gateway().await.expect("it stops");
    (stack, tenant)
}

/// What the clients have done and seen.
#[derive(Default)]
struct Score {
    next: AtomicI64,
    acknowledged: AtomicI64,
    told: AtomicU64,
    logins: AtomicU64,
    is_over: AtomicBool,
}

impl Score {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn done(&self) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
    }
}

/// A driver's connection, and how it ended.
struct Connection {
    client: Client,
    end: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Connection {
    async fn make(tenant: &Tenant, score: &Score) -> Self {
        let (client, connection) = tenant.config().connect(NoTls).await.expect("whoever connects is let in");
        score.logins.fetch_add(1, Ordering::AcqRel);
        Self { client, end: tokio::spawn(connection) }
    }

    /// Why it ended. The only good reason is that the gateway has said so: to the request that failed, if there was one
    /// under way, and otherwise to the connection.
    async fn assert_was_told(self, failed: &tokio_postgres::Error) {
        drop(self.client);
        let end = self.end.await.expect("no panic").expect_err("it has ended by an error");
        let told = failed.code().or(end.code());
        assert_eq!(told, Some(&SqlState::ADMIN_SHUTDOWN), "{failed:?}, {end:?}");
    }
}

/// Each number is entered once, by one statement or by a transaction of three; again only after a 57P01.
async fn keeps_its_connection(tenant: Tenant, score: Arc<Score>) {
    let mut connection = Connection::make(&tenant, &score).await;
    while !score.is_over() {
        let number = score.next.fetch_add(1, Ordering::AcqRel);
        loop {
            let entered = match number % 2 {
                0 => connection.client.execute("insert into done values ($1)", &[&number]).await.map(drop),
                _ => in_three_steps(&mut connection.client, number).await,
            };
            let Err(error) = entered else { break };
            let may_retry = error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN);
            assert!(may_retry, "{error:?}");
            connection.assert_was_told(&error).await;
            score.told.fetch_add(1, Ordering::AcqRel);
            connection = Connection::make(&tenant, &score).await;
        }
        score.done();
    }
}

/// Only its first message may be refused.
async fn in_three_steps(client: &mut Client, number: i64) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.execute("insert into done values ($1)", &[&number]).await.expect("it has begun");
    transaction.commit().await.expect("it has begun");
    Ok(())
}

async fn comes_and_goes(tenant: Tenant, score: Arc<Score>) {
    while !score.is_over() {
        let Connection { client, end } = Connection::make(&tenant, &score).await;
        let number = score.next.fetch_add(1, Ordering::AcqRel);
        client.execute("insert into done values ($1)", &[&number]).await.expect("it has only just come");
        score.done();
        drop(client);
        let _ = end.await.expect("no panic");
    }
}

async fn goes_on(score: &Score) {
    let before = score.acknowledged.load(Ordering::Acquire);
    wait_until("clients are served", async || score.acknowledged.load(Ordering::Acquire) > before + 50).await;
}

async fn ends_with_code_0(mut old: ChildProcess) {
    assert_eq!(old.exit_code().await, Some(0), "{}", old.said());
    let said = old.said();
    assert!(said.contains("taken the ports over") && !said.contains("may be reset"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_under_load_fails_nobody() {
    let (stack, tenant) = stack().await;
    let (mut old, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    let score = Arc::<Score>::default();
    let mut clients = JoinSet::new();
    for _ in 0..KEEPING {
        clients.spawn(keeps_its_connection(tenant.clone(), Arc::clone(&score)));
    }
    for _ in 0..COMING {
        clients.spawn(comes_and_goes(tenant.clone(), Arc::clone(&score)));
    }
    for _ in 0..TAKEOVERS {
        goes_on(&score).await;
        let (new, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
        goes_on(&score).await;
        old.terminate();
        ends_with_code_0(std::mem::replace(&mut old, new)).await;
    }
    goes_on(&score).await;
    score.is_over.store(true, Ordering::Release);
    while let Some(ended) = clients.join_next().await {
        ended.expect("nobody failed");
    }
    let inside = stack.inside(&tenant).await;
    let rows: i64 = inside.query_one("select count(*) from done", &[]).await.expect("an answer").get(0);
    assert_eq!(rows, score.acknowledged.load(Ordering::Acquire), "what was refused was not done");
    assert!(score.told.load(Ordering::Acquire) >= 1, "nobody had to connect again");
    println!(
        "{} logins, {} told to leave",
        score.logins.load(Ordering::Acquire),
        score.told.load(Ordering::Acquire)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_ends_where_it_began_and_new_clients_are_the_successors() {
    let (stack, tenant) = stack().await;
    let (old, old_admin) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    let mut working = login(&tenant).await;
    run(&mut working, "begin; insert into done values (1)").await;
    let (new, new_admin) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    old.terminate();
    wait_until("the first one drains", async || old.said().contains("the gateway drains")).await;
    for _ in 0..20 {
        assert_eq!(login(&tenant).await.value("select 1").await, "1");
    }
    let ready = async |admin: &str| {
        reqwest::get(format!("{admin}/readyz")).await.expect("it answers").status().as_u16()
    };
    assert_eq!((ready(&old_admin).await, ready(&new_admin).await), (503, 200));
    assert_eq!(run(&mut working, "commit").await, TransactionStatus::Idle);
    assert_eq!(farewell(&mut working).await, "57P01");
    ends_with_code_0(old).await;
    drop(new);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_stop_together_one_stays_to_say_that_nobody_serves() {
    let (stack, tenant) = stack().await;
    let (first, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    let (second, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    // So many that the kernel gives some to each.
    let mut working = Vec::new();
    for _ in 0..20 {
        let mut client = login(&tenant).await;
        run(&mut client, "begin").await;
        working.push(client);
    }
    for gateway in [&first, &second] {
        gateway.terminate();
    }
    let say = |words: &str| [&first, &second].iter().filter(|gateway| gateway.said().contains(words)).count();
    wait_until("both drain", async || say("the gateway drains") == 2).await;
    assert_eq!(say("taken the ports over"), 1);
    for _ in 0..20 {
        let whose = [("user", "app"), ("database", tenant.slug.as_str())];
        let told = WireClient::login_as(&tenant.config(), &whose).await.err().expect("nobody serves");
        assert_eq!(told.sqlstate(), "57P01", "{}", told.text());
    }
    for client in &mut working {
        run(client, "commit").await;
        assert_eq!(farewell(client).await, "57P01");
    }
    for mut gateway in [first, second] {
        assert_eq!(gateway.exit_code().await, Some(0), "{}", gateway.said());
    }
    stack.stop().await;
}

/// A statement that would take for ever, and its cancel, sent to whichever of the gateways the kernel chooses.
async fn is_cancelled(client: &mut WireClient, tenant: &Tenant) -> bool {
    let mut query = Vec::new();
    pgwire::frontend::write::query(&mut query, b"select pg_sleep(600)").expect("it fits");
    client.send(&query).await.expect("sent");
    let request = client.cancel_request();
    let answer = client.until_ready();
    tokio::pin!(answer);
    // Each has learnt the other's number when a cancel gets through. The statement may not run yet.
    for _ in 0..600 {
        let mut canceller = WireClient::dial(&tenant.config()).await.expect("somebody listens");
        canceller.send(&request).await.expect("sent");
        let told = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
        if let Ok(answer) = told {
            let answer = answer.expect("an answer");
            return answer.iter().any(|message| message.tag == b'E' && message.sqlstate() == "57014");
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_finds_the_gateway_that_drains_and_the_one_that_follows() {
    let (stack, tenant) = stack().await;
    let (old, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    let mut before = login(&tenant).await;
    run(&mut before, "begin").await;
    let (new, _) = stack.sharing_gateway(DRAIN_TIMEOUT_MS).await;
    assert!(is_cancelled(&mut before, &tenant).await);
    run(&mut before, "rollback; begin").await;
    old.terminate();
    wait_until("the first one drains", async || old.said().contains("the gateway drains")).await;
    let mut after = login(&tenant).await;
    assert!(is_cancelled(&mut after, &tenant).await);
    assert!(is_cancelled(&mut before, &tenant).await, "it can only have come through the other gateway");
    run(&mut before, "rollback").await;
    ends_with_code_0(old).await;
    drop(new);
    stack.stop().await;
}

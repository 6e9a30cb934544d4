//! Servers that stop answering where they stand, and go on from there.

use crate::{HERE, PATIENT_MS, World, all_ask, login, logins, refusal, run};
use harness::wire::WireClient;
use harness::{eventually, wait_until};

const CONNECT_TIMEOUT_MS: u64 = 400;

/// Those with a connection, those without, and those who wait for one: all are answered once it has thawed.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_anything_by_a_server_that_stood_still() {
    let mut world = World::start(|gateway| {
        gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        gateway.pool.outage_patience_ms = PATIENT_MS.into();
    })
    .await;
    let (tenant, neighbour) = (world.tenant("frozen", "three").await, world.tenant("neighbour", "one").await);
    let mut in_transaction = login(&tenant).await;
    run(&mut in_transaction, "create table counted (n int)").await;
    run(&mut in_transaction, "begin; insert into counted values (1)").await;
    let (mut idle, waiting) = (logins(&tenant, 3).await, logins(&tenant, 6).await);
    let others = logins(&neighbour, 4).await;
    world.stack.end_sessions(&neighbour).await;

    world.stack.cluster(HERE).expect("a cluster").pause();
    let mut asking = all_ask(waiting);
    let strangers = all_ask(others);
    let transaction = tokio::spawn(async move {
        run(&mut in_transaction, "insert into counted values (2)").await;
        run(&mut in_transaction, "commit").await;
        in_transaction
    });
    world.breaker_is(&[1.0]).await;
    world.waiting(&neighbour, 4.0).await;
    world.stack.cluster(HERE).expect("a cluster").resume();

    let mut in_transaction = transaction.await.expect("its transaction went on");
    assert_eq!(in_transaction.value("select sum(n) from counted").await, "3");
    while let Some(client) = asking.join_next().await {
        drop(client.expect("it is answered"));
    }
    drop(strangers.join_all().await);
    for client in &mut idle {
        assert_eq!(client.value("select 'well'").await, "well");
    }
    drop((idle, in_transaction));
    world.ends_well().await;
}

/// Who has no connection hears of it once patience is over. Who has one keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_for_too_long_refuses_whoever_has_no_connection() {
    let mut world = World::start(|gateway| {
        gateway.pool.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        gateway.pool.outage_patience_ms = 1_000;
        gateway.pool.retry_pause_max_ms = 1_000;
    })
    .await;
    let (tenant, cold) = (world.tenant("holding", "one").await, world.tenant("cold", "three").await);
    let mut holder = login(&tenant).await;
    run(&mut holder, "begin; create table kept (n int)").await;
    let mut refused = login(&cold).await;
    world.stack.end_sessions(&cold).await;

    world.stack.cluster(HERE).expect("a cluster").pause();
    let answer = refused.query("select 1").await.expect("an error leaves the client connected");
    let error = refusal(&answer).expect("nobody answers");
    assert_eq!(error.sqlstate(), "08006", "{error:?}");
    world.breaker_is(&[2.0, 3.0]).await;
    // It has the only connection of its pool, and another waits for that one, however open the breaker is.
    let waiting = all_ask(vec![login(&tenant).await]);
    world.waiting(&tenant, 1.0).await;
    world.stack.cluster(HERE).expect("a cluster").resume();

    run(&mut holder, "commit").await;
    drop(waiting.join_all().await);
    eventually("the breaker is closed by whoever asks", async || {
        let mut client = WireClient::login(&cold.config()).await.ok()?;
        let answer = client.query("select 1").await.ok()?;
        refusal(&answer).is_none().then_some(())
    })
    .await;
    wait_until("the first one is served", async || {
        refusal(&refused.query("select 1").await.expect("connected")).is_none()
    })
    .await;
    drop((holder, refused));
    world.ends_well().await;
}

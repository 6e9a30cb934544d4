//! A suspended tenant is refused everywhere at once, keeps its data, and comes back.

use super::{farewell, login, run};
use harness::{SharedStack, Stack, eventually, wait_until};
use pgwire::backend::TransactionStatus;
use std::sync::LazyLock;
use tenantry::dev::StackOptions;

/// The gateway learns of a suspension by its notification or, in this test, never.
static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let never = |gateway: &mut config::GatewayConfig| gateway.routes.resync_interval_ms = 60_000;
        Stack::start_with(StackOptions::ephemeral().gateway(never)).await
    })
});

async fn refusal(tenant: &harness::Tenant) -> String {
    let error = tenant.try_connect().await.expect_err("refused");
    error.code().map(|code| code.code().to_owned()).unwrap_or_else(|| panic!("{error}"))
}

#[tokio::test]
async fn new_clients_are_refused_and_idle_ones_sent_away() {
    let tenant = STACK.create_tenant("idling", "eu").await;
    let bystander = STACK.create_tenant("bystander", "eu").await;
    let (mut idle, mut other) = (login(&tenant).await, login(&bystander).await);
    run(&mut idle, "create table kept as select 7 as n").await;
    // The operation ends when every gateway has reported that it refuses.
    STACK.change_state(&tenant.slug, "suspend").await;
    assert_eq!(refusal(&tenant).await, "57P03");
    assert_eq!(farewell(&mut idle).await, "57P03");
    let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("57P03")), "{body:#}");
    wait_until("no server connection is kept for it", async || STACK.sessions(&tenant).await == 0).await;
    assert_eq!(other.value("select 'untouched'").await, "untouched");

    STACK.change_state(&tenant.slug, "resume").await;
    assert_eq!(login(&tenant).await.value("select n from kept").await, "7");
    let (status, body) = STACK.http_query(&tenant, "select n from kept", &[]).await;
    assert_eq!(status, 200, "{body:#}");
}

#[tokio::test]
async fn a_running_transaction_may_finish_and_then_its_client_leaves() {
    let tenant = STACK.create_tenant("finishing", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table t (n int)").await;
    assert_eq!(run(&mut client, "begin; insert into t values (1)").await, TransactionStatus::InTransaction);
    let finishing = async {
        let refused = eventually("new clients are refused", async || tenant.try_connect().await.err()).await;
        assert_eq!(refused.code().map(|code| code.code()), Some("57P03"));
        assert_eq!(run(&mut client, "insert into t values (2)").await, TransactionStatus::InTransaction);
        assert_eq!(run(&mut client, "commit").await, TransactionStatus::Idle);
        assert_eq!(farewell(&mut client).await, "57P03");
    };
    tokio::join!(STACK.change_state(&tenant.slug, "suspend"), finishing);
    STACK.change_state(&tenant.slug, "resume").await;
    assert_eq!(login(&tenant).await.value("select sum(n) from t").await, "3");
}

#[tokio::test]
async fn a_transaction_that_does_not_end_is_ended() {
    let tenant = STACK.create_tenant("lingering", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "create table t (n int)").await;
    assert_eq!(run(&mut client, "begin; insert into t values (1)").await, TransactionStatus::InTransaction);
    STACK.change_state(&tenant.slug, "suspend").await;
    assert_eq!(farewell(&mut client).await, "57P01", "the server's own word");
    STACK.change_state(&tenant.slug, "resume").await;
    assert_eq!(login(&tenant).await.value("select count(*) from t").await, "0");
}

/// A client that keeps asking gets no more than the transaction that it was in.
#[tokio::test]
async fn a_busy_client_does_not_outlast_its_suspension() {
    let tenant = STACK.create_tenant("busy", "eu").await;
    let mut client = login(&tenant).await;
    let asking = tokio::spawn(async move {
        loop {
            match client.query("select 1").await {
                Ok(messages) if messages.iter().all(|message| message.tag != b'E') => {}
                Ok(messages) => panic!("an error that does not end the session: {messages:?}"),
                Err(_end) => return,
            }
        }
    });
    STACK.change_state(&tenant.slug, "suspend").await;
    asking.await.expect("it was sent away");
    STACK.change_state(&tenant.slug, "resume").await;
    eventually("the tenant is back", async || tenant.try_connect().await.ok()).await;
}

#[tokio::test]
async fn a_tenant_is_suspended_and_resumed_as_often_as_one_likes() {
    let tenant = STACK.create_tenant("flapping", "eu").await;
    for _ in 0..5 {
        STACK.change_state(&tenant.slug, "suspend").await;
        assert_eq!(refusal(&tenant).await, "57P03");
        STACK.change_state(&tenant.slug, "resume").await;
        assert_eq!(login(&tenant).await.value("select 1").await, "1");
    }
}

//! A plan that becomes smaller while its tenant is at work: whoever is connected goes on, and each limit holds for what
//! comes.

use super::entitled::{STACK, bytes, entitle, sqlstate, tenant};
use super::login;
use harness::wait_until;
use harness::wire::{Message, WireClient};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinSet;

/// More than may be connected afterwards.
const CLIENTS: usize = 6;

fn is_refused_for_want_of_room(answer: Result<WireClient, Message>) -> bool {
    answer.is_err_and(|message| message.tag == b'E' && message.sqlstate() == "53300")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_of_a_smaller_plan_holds_and_nobody_at_work_meets_an_error() {
    let (tenant, client) = tenant("shrunk").await;
    drop(client);
    let taken = bytes(&tenant).await;
    let (served, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, served, is_over) = (login(&tenant).await, Arc::clone(&served), Arc::clone(&is_over));
        clients.spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                assert_eq!(sqlstate(&mut client, "select pg_sleep(0.02)").await, None);
                served.fetch_add(1, Ordering::AcqRel);
            }
        });
    }
    let more_is_served = async || {
        let before = served.load(Ordering::Acquire);
        wait_until("more is served", async || served.load(Ordering::Acquire) > before).await;
    };
    let over_http = async |sql: &str| STACK.http_query(&tenant, sql, &[]).await;
    let code_of = async |sql: &str| over_http(sql).await.1["code"].as_str().map(str::to_owned);
    more_is_served().await;

    let smaller = json!({
        "pool_size": 2, "work_mem_kb": 1024, "statement_timeout_ms": 10_000,
        "idle_in_transaction_timeout_ms": 70_000, "body_bytes_max": 10_000, "result_bytes_max": 50_000,
        "storage_soft_bytes": taken - 600_000, "storage_hard_bytes": taken - 500_000,
    });
    entitle(&tenant, smaller).await;
    wait_until("what exceeds the pool to go", async || STACK.sessions(&tenant).await <= 2).await;
    more_is_served().await;
    for (setting, value) in
        [("work_mem", "1MB"), ("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "70s")]
    {
        let shown = async || over_http(&format!("show {setting}")).await.1["rows"][0][setting] == value;
        wait_until("the roles to have it", shown).await;
    }
    assert_eq!(code_of("select pg_sleep(600)").await.as_deref(), Some("57014"));
    let large = format!("select length('{}')", "x".repeat(20_000));
    for too_large in ["select repeat('x', 60000)", &large] {
        assert_eq!(code_of(too_large).await.as_deref(), Some("54000"));
    }
    let refused = async || code_of("insert into filler values ('x')").await.as_deref() == Some("25006");
    wait_until("it to be read-only", refused).await;
    more_is_served().await;
    // Of those who are there nobody has to leave, though they are more than may be.
    entitle(&tenant, json!({ "client_limit": CLIENTS - 2 })).await;
    wait_until("nobody else to be let in", async || {
        is_refused_for_want_of_room(WireClient::login(&tenant.config()).await)
    })
    .await;
    more_is_served().await;

    let before = json!({
        "pool_size": null, "client_limit": null, "work_mem_kb": null, "statement_timeout_ms": null,
        "idle_in_transaction_timeout_ms": null, "body_bytes_max": null, "result_bytes_max": null,
        "storage_soft_bytes": null, "storage_hard_bytes": null,
    });
    entitle(&tenant, before).await;
    wait_until("others to be let in", async || WireClient::login(&tenant.config()).await.is_ok()).await;
    let writes = async || over_http("insert into filler values ('x')").await.0 == 200;
    wait_until("it to write again", writes).await;
    assert_eq!(over_http(&large).await.1["rows"][0]["length"], Value::from(20_000));
    more_is_served().await;
    is_over.store(true, Ordering::Release);
    clients.join_all().await;
}

//! Cancel requests: anybody may send one, and only the right key does anything.

use super::{STACK, dial};
use harness::wire::WireClient;
use harness::{Tenant, wait_until};
use pgwire::CancelKey;
use pgwire::backend::{backend_key_data, tag};
use pgwire::frontend::write;

/// A client that has logged in, and its cancel key.
async fn login(tenant: &Tenant) -> (WireClient, CancelKey) {
    let mut client = dial(tenant).await;
    client.startup(&[("user", "app"), ("database", &tenant.slug)]).await.expect("sent");
    client.authenticate(tenant.password().as_bytes()).await.expect("let in");
    let greeting = client.until_ready().await.expect("a greeting");
    let key = greeting.iter().find(|message| message.tag == tag::BACKEND_KEY_DATA).expect("a key");
    let key = backend_key_data(&key.body).expect("a key");
    (client, key)
}

async fn cancel(tenant: &Tenant, key: CancelKey) {
    let mut request = Vec::new();
    write::cancel_request(&mut request, key);
    let mut client = dial(tenant).await;
    client.send(&request).await.expect("sent");
    let answer = client.until_end().await.expect("the end");
    assert!(answer.is_empty(), "a cancel request is not answered: {answer:?}");
}

async fn waits_for_lock(tenant: &Tenant) -> bool {
    let inside = STACK.inside(tenant).await;
    let query = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    inside.query_one(query, &[]).await.expect("an administrator may").get::<_, i64>(0) > 0
}

#[tokio::test]
async fn only_the_right_key_cancels() {
    let tenant = STACK.create_tenant("cancelling", "eu").await;
    let blocker = STACK.inside(&tenant).await;
    blocker.batch_execute("select pg_advisory_lock(1)").await.expect("an administrator may");
    let (mut client, key) = login(&tenant).await;
    let mut query = Vec::new();
    write::query(&mut query, b"select pg_advisory_xact_lock(1)").expect("it fits");
    client.send(&query).await.expect("sent");
    wait_until("the query waits", async || waits_for_lock(&tenant).await).await;

    let (_other, other_key) = login(&tenant).await;
    let wrong_secret = CancelKey { secret: key.secret ^ 1, ..key };
    let wrong_process = CancelKey { process_id: key.process_id.wrapping_add(1), ..key };
    let physical = STACK.physical(&tenant).await;
    let pid = "select pid from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'";
    let pid: i32 = blocker.query_one(pid, &[&physical.role]).await.expect("the waiting query").get(0);
    for key in [wrong_secret, wrong_process, other_key, CancelKey { process_id: pid, secret: 0 }] {
        cancel(&tenant, key).await;
    }
    assert!(waits_for_lock(&tenant).await, "a wrong key has cancelled");

    cancel(&tenant, key).await;
    let answer = client.until_ready().await.expect("an answer");
    let error = answer.iter().find(|message| message.tag == tag::ERROR_RESPONSE).expect("an error");
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(client.value("select 'still here'").await, "still here");
}

#[tokio::test]
async fn a_key_is_worth_nothing_after_its_session() {
    let tenant = STACK.create_tenant("outlived", "eu").await;
    let (client, key) = login(&tenant).await;
    drop(client);
    wait_until("the client is gone", async || {
        STACK.metric("tenantry_clients", &["tenant=\"outlived\""]).await == 0.0
    })
    .await;
    cancel(&tenant, key).await;
    let (mut next, _) = login(&tenant).await;
    assert_eq!(next.value("select 'untouched'").await, "untouched");
}

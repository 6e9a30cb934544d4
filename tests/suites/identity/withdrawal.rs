//! What becomes of sessions whose credential is withdrawn.

use super::STACK;
use super::keys::{make, revoke};
use harness::{Tenant, eventually, log_in};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

async fn session(handover: &Value) -> Client {
    let config: Config = handover["connection_string"].as_str().unwrap().parse().unwrap();
    eventually("the password is known", async || log_in(&config).await.ok()).await
}

async fn user(tenant: &Tenant, name: &str) -> Value {
    make(tenant, json!({ "kind": "password", "user_name": name })).await
}

fn id_of(handover: &Value) -> &str {
    handover["credential"]["id"].as_str().unwrap()
}

async fn ends(client: &Client) -> SqlState {
    eventually("the session ends", async || match client.simple_query("select 1").await {
        Ok(_) => None,
        // Once it is closed, what it was told first is lost to this driver.
        Err(error) => Some(error.code().cloned().unwrap_or(SqlState::ADMIN_SHUTDOWN)),
    })
    .await
}

#[tokio::test]
async fn sessions_end_with_their_credential_and_others_go_on() {
    let tenant = STACK.create_tenant("withdrawn", "eu").await;
    let (gone, stays) = (user(&tenant, "gone").await, user(&tenant, "stays").await);
    let (first, second, other) = (session(&gone).await, session(&gone).await, session(&stays).await);
    second.batch_execute("begin; create table half (n int)").await.unwrap();
    let before = STACK.metric("tenantry_gateway_withdrawn_clients_total", &[]).await;
    revoke(&tenant, id_of(&gone)).await;
    assert_eq!(ends(&first).await, SqlState::ADMIN_SHUTDOWN);
    assert_eq!(ends(&second).await, SqlState::ADMIN_SHUTDOWN);
    assert!(STACK.metric("tenantry_gateway_withdrawn_clients_total", &[]).await >= before + 2.0);
    other.simple_query("select 1").await.unwrap();
    let left = other.query_one("select to_regclass('half') is null", &[]).await.unwrap();
    assert!(left.get::<_, bool>(0), "its transaction was rolled back");
    let config: Config = gone["connection_string"].as_str().unwrap().parse().unwrap();
    assert_eq!(log_in(&config).await.err().as_deref(), Some("28P01"));
}

#[tokio::test]
async fn of_two_passwords_of_a_user_only_the_withdrawn_ones_sessions_end() {
    let tenant = STACK.create_tenant("two-passwords", "eu").await;
    let (old, new) = (user(&tenant, "jobs").await, user(&tenant, "jobs").await);
    let (with_old, with_new) = (session(&old).await, session(&new).await);
    revoke(&tenant, id_of(&old)).await;
    assert_eq!(ends(&with_old).await, SqlState::ADMIN_SHUTDOWN);
    with_new.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_its_credential_expires() {
    let tenant = STACK.create_tenant("expiring", "eu").await;
    // Soon, but not before the login.
    let soon = Timestamp::now() + SignedDuration::from_secs(6);
    let body = json!({ "kind": "password", "user_name": "brief", "expires_at": soon.to_string() });
    let brief = make(&tenant, body).await;
    let client = session(&brief).await;
    assert_eq!(ends(&client).await, SqlState::ADMIN_SHUTDOWN);
}

//! What becomes of sessions and requests whose credential is withdrawn.

use super::keys::{make, revoke};
use super::{STACK, services};
use harness::{Knock, Tenant, eventually, log_in, wait_until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use suites::plans;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
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

async fn api_key(tenant: &Tenant) -> Value {
    make(tenant, json!({ "kind": "api-key" })).await
}

/// Revokes a key, and waits until the gateway knows.
async fn is_revoked(tenant: &Tenant, key: &Value) {
    revoke(tenant, id_of(key)).await;
    let knock = Knock::new().bearer(key["api_key"].as_str().unwrap());
    eventually("the key is refused", async || (knock.status(&STACK).await == 401).then_some(())).await;
}

/// A request whose body the gateway waits for, and so knows the sender.
struct Late {
    stream: TcpStream,
    body: String,
}

impl Late {
    async fn begin(key: &str, more: &str) -> Self {
        let gateway = STACK.descriptor().gateway.http.clone();
        let mut stream = TcpStream::connect(gateway.trim_start_matches("http://")).await.unwrap();
        let body = json!({ "query": "create table late (n int)" }).to_string();
        let head = format!(
            "POST /sql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n{more}expect: 100-continue\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The body is asked for once its sender is known.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&go_on));
        Self { stream, body }
    }

    /// Sends the body, which is too late.
    async fn ends_refused(mut self) {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}

async fn nothing_ran(tenant: &Tenant) {
    let made = tenant.connect().await.query_one("select to_regclass('late') is null", &[]).await.unwrap();
    assert!(made.get::<_, bool>(0), "it ran nothing");
}

#[tokio::test]
async fn a_request_runs_nothing_when_its_key_was_revoked_while_its_body_came() {
    let tenant = STACK.create_tenant("slow-body", "eu").await;
    let key = api_key(&tenant).await;
    let late = Late::begin(key["api_key"].as_str().unwrap(), "").await;
    is_revoked(&tenant, &key).await;
    late.ends_refused().await;
    nothing_ran(&tenant).await;
}

/// Has the gateway know that a service opens nothing any more.
async fn service_is_revoked(service: &Value, tenant: &Tenant) {
    services::revoke(service).await;
    let knock = services::with(service).tenant_header(&tenant.id);
    eventually("the service is refused", async || (knock.status(&STACK).await == 401).then_some(())).await;
}

/// Has the gateway know that a service may not act for this tenant any more.
async fn service_loses(service: &Value, tenant: &Tenant) {
    let less = "update catalog.service_credentials set tenants = array_remove(tenants, $1::text::uuid)
                where id = $2::text::uuid";
    let id = service["service_credential"]["id"].as_str().unwrap();
    assert_eq!(STACK.catalog_admin().await.execute(less, &[&tenant.id, &id]).await.unwrap(), 1);
    let knock = services::with(service).tenant_header(&tenant.id);
    eventually("it may not act for it", async || (knock.status(&STACK).await == 403).then_some(())).await;
}

#[tokio::test]
async fn a_request_runs_nothing_when_its_service_was_withdrawn_while_its_body_came() {
    let tenant = STACK.create_tenant("slow-service", "eu").await;
    let other = STACK.create_tenant("slow-service-other", "eu").await;
    let (revoked, narrowed) =
        (services::make("owner", None).await, services::make("owner", Some(&[&tenant, &other])).await);
    let meant = format!("x-tenant-id: {}\r\n", tenant.id);
    let [first, second] = [
        Late::begin(revoked["key"].as_str().unwrap(), &meant).await,
        Late::begin(narrowed["key"].as_str().unwrap(), &meant).await,
    ];
    service_is_revoked(&revoked, &tenant).await;
    first.ends_refused().await;
    service_loses(&narrowed, &tenant).await;
    second.ends_refused().await;
    nothing_ran(&tenant).await;
}

/// Rows for much longer than anybody waits for anything here, of which a few are more than the gateway holds.
const ENDLESS: &str = "select pg_sleep(0.02)::text, repeat('x', 20000) from generate_series(1, 100000)";

/// A result that has begun to stream; what its last piece was, once it has ended.
async fn streaming(key: &str, tenant: &Tenant) -> JoinHandle<Option<String>> {
    let request = super::sql(key, ENDLESS).header("accept", "application/x-ndjson");
    let mut response = request.header("host", format!("{}.localhost", tenant.slug)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.unwrap().is_some());
    tokio::spawn(async move {
        let mut last = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => last = piece.to_vec(),
                Ok(None) => return Some(String::from_utf8_lossy(&last).into_owned()),
                // Within a row there is no room for a word.
                Err(_broken_off) => return None,
            }
        }
    })
}

async fn breaks_off(result: JoinHandle<Option<String>>) {
    wait_until("the result breaks off", async || result.is_finished()).await;
    if let Some(last) = result.await.unwrap() {
        assert!(last.contains("the credential was revoked"), "{last}");
    }
}

#[tokio::test]
async fn a_result_breaks_off_when_what_it_was_asked_with_is_withdrawn() {
    let tenant = STACK.create_tenant("long-result", "eu").await;
    let other = STACK.create_tenant("long-result-other", "eu").await;
    let key = api_key(&tenant).await;
    let stays = api_key(&tenant).await;
    let (revoked, narrowed) =
        (services::make("viewer", None).await, services::make("viewer", Some(&[&tenant, &other])).await);
    let [by_key, by_service, by_narrowed, goes_on] = [
        streaming(key["api_key"].as_str().unwrap(), &tenant).await,
        streaming(revoked["key"].as_str().unwrap(), &tenant).await,
        streaming(narrowed["key"].as_str().unwrap(), &tenant).await,
        streaming(stays["api_key"].as_str().unwrap(), &tenant).await,
    ];
    is_revoked(&tenant, &key).await;
    breaks_off(by_key).await;
    service_is_revoked(&revoked, &tenant).await;
    breaks_off(by_service).await;
    service_loses(&narrowed, &tenant).await;
    breaks_off(by_narrowed).await;
    assert!(!goes_on.is_finished(), "and nobody else's");
    goes_on.abort();
}

#[tokio::test]
async fn a_request_runs_nothing_when_its_key_was_revoked_while_it_waited_its_turn() {
    plans::add(&STACK, "one-place", plans::limits(1, 20, 20, 60_000)).await;
    let body = json!({ "slug": "long-queue", "region": "eu", "plan": "one-place" });
    let tenant = STACK.create_tenant_with(body).await;
    let key = api_key(&tenant).await;
    let holder = tenant.connect().await;
    holder.batch_execute("begin").await.unwrap();
    let request = {
        let knock = Knock::new().bearer(key["api_key"].as_str().unwrap());
        tokio::spawn(async move { knock.ask(&STACK, "create table late (n int)").await })
    };
    let waits = async || {
        let labels = ["tenant=\"long-queue\""];
        (STACK.metric("tenantry_pool_waiting_clients", &labels).await >= 1.0).then_some(())
    };
    eventually("it waits for the connection", waits).await;
    // While it waits, nobody can be asked whether the gateway knows.
    revoke(&tenant, id_of(&key)).await;
    let applied = "select 1 from catalog.gateways g, catalog.revision r where g.applied_revision >= r.value";
    let catalog = STACK.catalog_admin().await;
    eventually("the gateway knows", async || catalog.query_opt(applied, &[]).await.unwrap()).await;
    holder.batch_execute("commit").await.unwrap();
    let (status, answer) = request.await.unwrap();
    assert_eq!(status, 401, "{answer:#}");
    let made = holder.query_one("select to_regclass('late') is null", &[]).await.unwrap();
    assert!(made.get::<_, bool>(0), "it ran nothing");
}

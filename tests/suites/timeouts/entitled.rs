//! What a tenant may use by its plan or by itself: time that no session can lift, and storage.

use super::{error, login, milliseconds};
use harness::wire::WireClient;
use harness::{SharedStack, Stack, Tenant, eventually, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;
use tenantry::dev::StackOptions;

/// How often databases are measured.
const INTERVAL: Duration = Duration::from_millis(200);

/// Two megabytes.
const GROW: &str = "insert into filler select repeat('x', 1000) from generate_series(1, 2000)";

/// So little that no number of attempts seals a tenant.
const ONE_ROW: &str = "insert into filler values ('x')";

pub(super) static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let often =
            |plane: &mut config::ControlPlaneConfig| plane.storage.interval_ms = milliseconds(INTERVAL);
        Stack::start_with(StackOptions::ephemeral().control_plane(often)).await
    })
});

pub(super) async fn entitle(tenant: &Tenant, own: Value) {
    let path = format!("/v1/tenants/{}/entitlements", tenant.slug);
    STACK.must(Method::PATCH, &path, Some(&own)).await;
}

async fn entitlements(tenant: &Tenant) -> Value {
    let path = format!("/v1/tenants/{}/entitlements", tenant.slug);
    STACK.client().get(&path).await.expect("the control plane answers")
}

async fn standing(tenant: &Tenant) -> String {
    entitlements(tenant).await["storage"]["standing"].as_str().expect("a word").to_owned()
}

/// What the tenant's database takes by now.
pub(super) async fn bytes(tenant: &Tenant) -> u64 {
    let measured = async || entitlements(tenant).await["storage"]["bytes"].as_u64();
    eventually("a measurement", measured).await
}

pub(super) async fn sqlstate(client: &mut WireClient, sql: &str) -> Option<String> {
    let messages = client.query(sql).await.expect("an answer");
    messages.iter().find(|message| message.tag == b'E').map(|message| message.sqlstate())
}

pub(super) async fn tenant(slug: &str) -> (Tenant, WireClient) {
    let tenant = STACK.create_tenant(slug, "eu").await;
    let mut client = login(&tenant).await;
    assert_eq!(sqlstate(&mut client, "create table filler (n text)").await, None);
    (tenant, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_lift_its_plans_statement_timeout() {
    let (tenant, mut client) = tenant("hasty").await;
    entitle(&tenant, json!({ "statement_timeout_ms": 2_000 })).await;
    let shown = async || login(&tenant).await.value("show statement_timeout").await == "2s";
    wait_until("the role to have it", shown).await;
    for lift in ["select 1", "set statement_timeout = 0"] {
        assert_eq!(sqlstate(&mut client, lift).await, None);
        let messages = client.query("select pg_sleep(600)").await.expect("an answer");
        assert_eq!(error(&messages).sqlstate(), "57014", "{lift}");
    }
    let messages = client.query("set statement_timeout = 0; select pg_sleep(600)").await.expect("an answer");
    let error = String::from_utf8_lossy(&error(&messages).body).into_owned();
    assert!(error.contains("of the tenant's plan"), "the hint says whose limit it is: {error}");
    assert_eq!(client.value("select 'goes on'").await, "goes on");
    entitle(&tenant, json!({ "statement_timeout_ms": null })).await;
    let shown = async || login(&tenant).await.value("show statement_timeout").await == "0";
    wait_until("the role to be rid of it", shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_statements_are_no_long_one() {
    let (tenant, mut client) = tenant("steady").await;
    entitle(&tenant, json!({ "statement_timeout_ms": 5_000 })).await;
    let shown = async || login(&tenant).await.value("show statement_timeout").await == "5s";
    wait_until("the role to have it", shown).await;
    assert_eq!(sqlstate(&mut client, "begin").await, None);
    for _ in 0..8 {
        assert_eq!(sqlstate(&mut client, "select pg_sleep(0.75)").await, None);
    }
    assert_eq!(sqlstate(&mut client, "commit").await, None);
    let queries = vec![json!({ "query": "select pg_sleep(0.75)" }); 8];
    let batch = reqwest::Client::new()
        .post(&tenant.http_endpoint)
        .bearer_auth(&tenant.api_key)
        .json(&json!({ "queries": queries }));
    let answer = batch.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200, "{:?}", answer.text().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_how_long_its_transaction_may_wait_for_it() {
    let (tenant, mut client) = tenant("absent").await;
    entitle(&tenant, json!({ "idle_in_transaction_timeout_ms": 400 })).await;
    let name = "show idle_in_transaction_session_timeout";
    wait_until("the role to have it", async || login(&tenant).await.value(name).await == "400ms").await;
    assert_eq!(sqlstate(&mut client, "begin; set idle_in_transaction_session_timeout = 0").await, None);
    let messages = client.until_end().await.expect("last words");
    assert_eq!(error(&messages).sqlstate(), "25P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tenant_may_delete_and_is_back_when_it_has() {
    let (tenant, mut client) = tenant("full").await;
    let small = bytes(&tenant).await;
    assert_eq!(sqlstate(&mut client, GROW).await, None);
    wait_until("it to be measured", async || bytes(&tenant).await > small + 1_500_000).await;
    // Half of what it has written is too much: far from what would seal it, and a truncate brings it below.
    let quotas = json!({ "storage_soft_bytes": small, "storage_hard_bytes": small + 1_000_000 });
    entitle(&tenant, quotas).await;
    wait_until("it to be full", async || sqlstate(&mut client, ONE_ROW).await.is_some()).await;
    let messages = client.query(GROW).await.expect("an answer");
    assert_eq!(error(&messages).sqlstate(), "25006");
    assert!(error(&messages).text().contains("storage quota"), "{messages:?}");
    let (status, body) = STACK.http_query(&tenant, GROW, &[]).await;
    assert_eq!((status, &body["code"]), (400, &json!("25006")), "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.contains("storage quota")), "{body}");
    assert_eq!(client.value("select count(*) > 0 from filler").await, "t", "it reads");
    whoever_wishes_to_read_hears_nothing_of_the_quota(&tenant, &mut client).await;

    // One message is one transaction.
    let delete = "begin; set transaction read write; truncate filler; commit";
    assert_eq!(sqlstate(&mut client, delete).await, None, "it may make room");
    wait_until("it to write again", async || sqlstate(&mut client, ONE_ROW).await.is_none()).await;
}

/// What the client has asked for itself would be refused in any tenant.
async fn whoever_wishes_to_read_hears_nothing_of_the_quota(tenant: &Tenant, client: &mut WireClient) {
    let says_quota = async |client: &mut WireClient, sql: &str| {
        let messages = client.query(sql).await.expect("an answer");
        assert_eq!(error(&messages).sqlstate(), "25006", "{sql}");
        error(&messages).text().contains("storage quota")
    };
    for wish in ["begin read only", "begin; set transaction read only"] {
        assert_eq!(sqlstate(client, wish).await, None);
        assert!(!says_quota(client, ONE_ROW).await, "{wish}");
        assert_eq!(sqlstate(client, "rollback").await, None);
        assert!(says_quota(client, ONE_ROW).await, "that was another transaction");
        assert!(!says_quota(client, &format!("{wish}; {ONE_ROW}")).await, "{wish}");
        assert_eq!(sqlstate(client, "rollback").await, None);
    }
    let wish = "set default_transaction_read_only = on";
    assert_eq!(sqlstate(client, wish).await, None);
    assert!(!says_quota(client, ONE_ROW).await, "{wish}");
    assert_eq!(sqlstate(client, "reset default_transaction_read_only").await, None);
    assert!(says_quota(client, ONE_ROW).await, "it wishes so no more");
    let parameters =
        [("user", "app"), ("database", tenant.slug.as_str()), ("default_transaction_read_only", "on")];
    let reader = WireClient::login_as(&tenant.config(), &parameters).await;
    let mut reader = reader.unwrap_or_else(|refusal| panic!("{}", refusal.text()));
    assert!(!says_quota(&mut reader, ONE_ROW).await, "it has said so from the start");
    let asked = reqwest::Client::new()
        .post(format!("{}?read_only=true", tenant.http_endpoint))
        .bearer_auth(&tenant.api_key)
        .json(&json!({ "query": ONE_ROW }));
    let body: Value = asked.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["code"], "25006", "{body}");
    assert!(body["message"].as_str().is_some_and(|text| !text.contains("storage quota")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_plan_counts_at_once() {
    let (tenant, mut client) = tenant("grows").await;
    let taken = bytes(&tenant).await;
    entitle(&tenant, json!({ "storage_hard_bytes": taken - 500_000 })).await;
    wait_until("it to be read-only", async || sqlstate(&mut client, ONE_ROW).await.is_some()).await;
    entitle(&tenant, json!({ "storage_hard_bytes": null })).await;
    assert_eq!(standing(&tenant).await, "within");
    wait_until("it to write again", async || sqlstate(&mut client, GROW).await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_goes_on_writing_ends_up_with_reading() {
    let (tenant, mut client) = tenant("hostile").await;
    let taken = bytes(&tenant).await;
    entitle(&tenant, json!({ "storage_hard_bytes": taken - 500_000 })).await;
    wait_until("it to be full", async || sqlstate(&mut client, ONE_ROW).await.is_some()).await;
    // It lifts what its sessions begin with, and goes on until it is cut off or refused.
    let lift = "set default_transaction_read_only = off";
    assert_eq!(sqlstate(&mut client, lift).await, None);
    let mut written = 0;
    while client.query(GROW).await.is_ok_and(|messages| messages.iter().all(|message| message.tag != b'E')) {
        written += 1;
        assert!(written < 10_000, "it grows without an end");
    }
    assert!(written > 0, "until then it may do what it likes");
    wait_until("it to be sealed", async || standing(&tenant).await == "sealed").await;
    let refused = async || match WireClient::login(&tenant.config()).await {
        Ok(mut client) => {
            let lifted = client.query(lift).await.is_ok();
            let answer = client.query("insert into filler values ('x')").await;
            lifted && answer.is_ok_and(|messages| messages.iter().any(|message| message.tag == b'E'))
        }
        Err(_) => false,
    };
    wait_until("nothing to be written", refused).await;
    let mut reader = login(&tenant).await;
    assert_eq!(reader.value("select count(*) > 0 from filler").await, "t", "it reads");
    entitle(&tenant, json!({ "storage_hard_bytes": null })).await;
    wait_until("it to write again", async || {
        login(&tenant)
            .await
            .query("truncate filler")
            .await
            .is_ok_and(|messages| messages.iter().all(|m| m.tag != b'E'))
    })
    .await;
}

/// What an owner lends to those who only read, no server refuses: a function that has its rights, a grant to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_lends_its_readers_the_writing_is_served_no_more() {
    let (tenant, mut client) = tenant("lender").await;
    let lend = "create function grow() returns void language sql security definer as
                  $$insert into public.filler select repeat('x', 1000) from generate_series(1, 2000)$$;
                grant insert on filler to public";
    assert_eq!(sqlstate(&mut client, lend).await, None);
    let taken = bytes(&tenant).await;
    entitle(&tenant, json!({ "storage_hard_bytes": taken - 500_000 })).await;
    wait_until("it to be full", async || sqlstate(&mut client, ONE_ROW).await.is_some()).await;
    drop(client);
    wait_until("it to be sealed", async || {
        let _heard = attempt(&tenant, GROW).await;
        standing(&tenant).await == "sealed"
    })
    .await;
    let [_, _, reader] = STACK.roles(&tenant).await;
    let as_reader = format!("select 1 / (current_user = '{reader}')::int");
    wait_until("the reading role's sessions", async || attempt(&tenant, &as_reader).await.is_ok()).await;
    let (mut function, mut table) = (0, 0);
    wait_until("nobody to be served", async || {
        function += u32::from(attempt(&tenant, "select grow()").await.is_ok());
        table += u32::from(attempt(&tenant, GROW).await.is_ok());
        let refused = attempt(&tenant, "select 1").await;
        standing(&tenant).await == "closed"
            && refused.is_err_and(|text| text.contains("has grown far beyond its storage quota"))
    })
    .await;
    assert!(function > 0 && table > 0, "until then it is not refused: {function}, {table}");
    let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
    assert_eq!((status, &body["code"]), (403, &json!("25006")), "{body}");
    let grown = bytes(&tenant).await;
    for way in ["select grow()", GROW] {
        attempt(&tenant, way).await.expect_err("nobody is served");
    }
    assert!(bytes(&tenant).await <= grown + 1_000_000, "it grows no more");
    entitle(&tenant, json!({ "storage_hard_bytes": null })).await;
    wait_until("it to be served again", async || attempt(&tenant, ONE_ROW).await.is_ok()).await;
}

/// Lets a client of its own do it in a transaction that lifts what sessions begin with. Says what it hears instead.
async fn attempt(tenant: &Tenant, sql: &str) -> Result<(), String> {
    let mut client = match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(refusal) => return Err(refusal.text()),
    };
    let messages = client.query(&format!("begin read write; {sql}; commit")).await;
    let messages = messages.map_err(|error| error.to_string())?;
    messages.iter().find(|message| message.tag == b'E').map_or(Ok(()), |error| Err(error.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_over_http_ends_when_its_tenant_is_sealed() {
    let (tenant, mut client) = tenant("sealed-http").await;
    let before = bytes(&tenant).await;
    for _ in 0..12 {
        assert_eq!(sqlstate(&mut client, GROW).await, None);
    }
    wait_until("it to be measured", async || bytes(&tenant).await > before + 20_000_000).await;
    // Neither has an end of its own within the test. The second has more rows than are held before the first is sent.
    let whole = tokio::spawn({
        let tenant = tenant.clone();
        async move { STACK.http_query(&tenant, "select pg_sleep(600)", &[]).await }
    });
    let streaming = "select repeat('x', 1000), case when n > 2000 then pg_sleep(0.5) end
                     from generate_series(1, 4000) n";
    let request = reqwest::Client::new()
        .post(&tenant.http_endpoint)
        .bearer_auth(&tenant.api_key)
        .header("accept", "application/x-ndjson")
        .json(&json!({ "query": streaming }));
    let stream = request.send().await.expect("it begins");
    assert_eq!(stream.status().as_u16(), 200);
    let running = "select count(*) from pg_stat_activity
                   where state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()";
    wait_until("both to run", async || client.value(running).await == "2").await;
    // A tenth of that, and 16 MiB at least, seals it.
    let quota = bytes(&tenant).await - 18_000_000;
    entitle(&tenant, json!({ "storage_hard_bytes": quota })).await;
    let (status, body) = whole.await.expect("it is answered");
    assert_eq!((status, &body["code"]), (503, &json!("57P01")), "{body}");
    // It breaks off, in a line of its own where there was room for one.
    let rows = stream.text().await.map_or(0, |text| text.lines().count());
    assert!(rows < 4_000, "it has been sent to its end: {rows}");
    let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
    assert_eq!(status, 200, "it reads: {body}");
    let (_, body) = STACK.http_query(&tenant, ONE_ROW, &[]).await;
    assert_eq!(body["code"], "25006", "{body}");
    let hint = body["hint"].as_str().expect("what to do");
    assert!(hint.contains("larger plan") && !hint.contains("READ WRITE"), "it cannot delete: {hint}");
}

//! Session mode: a server connection for as long as the client stays, and a clean one for the next.

use crate::{STACK, login, run, tenant, value};
use harness::wire::{WireClient, tags};
use harness::{Stack, Tenant, eventually, wait_until};
use pgwire::frontend::{STATEMENT, write};
use reqwest::Method;
use serde_json::json;
use tenantry::client::path;

async fn login_with(tenant: &Tenant, parameters: &[(&str, &str)]) -> WireClient {
    let whose = [("user", "app"), ("database", tenant.slug.as_str())];
    let parameters: Vec<_> = whose.into_iter().chain(parameters.iter().copied()).collect();
    match WireClient::login_as(&tenant.config(), &parameters).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn session(tenant: &Tenant) -> WireClient {
    login_with(tenant, &[("pool_mode", "session")]).await
}

async fn leave(mut client: WireClient) {
    let mut goodbye = Vec::new();
    write::terminate(&mut goodbye);
    client.send(&goodbye).await.expect("sent");
    assert!(client.until_end().await.expect("the end").is_empty());
}

/// What a session can hold, and how the next one would see it.
const STATE: [(&str, &str, &str); 8] = [
    ("set statement_timeout = '7s'", "show statement_timeout", "0"),
    ("set role none; set session authorization default", "select current_user = session_user", "t"),
    ("create temp table held (a int)", "select to_regclass('held') is null", "t"),
    (
        "select pg_advisory_lock(42)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
        "0",
    ),
    ("listen held", "select count(*) from pg_listening_channels()", "0"),
    ("prepare held as select 1", "select count(*) from pg_prepared_statements", "0"),
    ("begin; declare held cursor with hold for select 1; commit", "select count(*) from pg_cursors", "0"),
    ("create sequence if not exists s; select nextval('s')", "select 1", "1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn state_stays_while_the_client_does_and_the_next_gets_none_of_it() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session", "single").await;
    let mut first = session(&tenant).await;
    let backend = value(&mut first, "select pg_backend_pid()").await;
    for (leave, _, _) in STATE {
        run(&mut first, leave).await;
    }
    assert_eq!(value(&mut first, "show statement_timeout").await, "7s");
    assert_eq!(value(&mut first, "execute held").await, "1");
    assert_eq!(value(&mut first, "fetch held").await, "1");
    assert_eq!(value(&mut first, "select currval('s')").await, "1");
    run(&mut first, "notify held").await;
    assert_eq!(value(&mut first, "select pg_backend_pid()").await, backend);

    // The second waits for its turn, however long the first is idle.
    let mut second = session(&tenant).await;
    let waiting = tokio::spawn(async move {
        let backend = value(&mut second, "select pg_backend_pid()").await;
        (second, backend)
    });
    let queue = ["tenant=\"session\""];
    wait_until("the second waits", async || {
        stack.metric("tenantry_pool_waiting_clients", &queue).await == 1.0
    })
    .await;
    leave(first).await;
    let (mut second, its_backend) = waiting.await.expect("no panic");
    assert_eq!(its_backend, backend, "the connection was reset, not closed");
    for (leave, ask, clean) in STATE {
        assert_eq!(value(&mut second, ask).await, clean, "after {leave}");
    }
    let failed = second.query("select currval('s')").await.expect("an answer");
    assert!(tags(&failed).contains('E'), "a sequence's value is the first session's");
    leave(second).await;
    // And in transaction mode nothing is left of either.
    let mut third = login(&tenant).await;
    assert_eq!(value(&mut third, "show statement_timeout").await, "0");
    let labels = ["tenant=\"session\"", "reason=\"session_mode\""];
    assert_eq!(stack.metric("tenantry_pins_total", &labels).await, 2.0);
    assert_eq!(stack.metric("tenantry_session_resets_total", &["tenant=\"session\""]).await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_the_servers_own() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session-names", "single").await;
    let mut client = session(&tenant).await;
    let mut out = Vec::new();
    write::parse(&mut out, b"by_protocol", b"select $1::int + 1", &[]).expect("it fits");
    write::describe(&mut out, STATEMENT, b"by_protocol").expect("it fits");
    write::sync(&mut out);
    client.send(&out).await.expect("sent");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "1tTZ");
    assert_eq!(value(&mut client, "execute by_protocol(41)").await, "42");
    assert_eq!(value(&mut client, "select name from pg_prepared_statements").await, "by_protocol");
    run(&mut client, "prepare by_sql(int) as select $1 + 2").await;
    out.clear();
    write::bind_text(&mut out, b"", b"by_sql", &[Some(b"40")]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::close(&mut out, STATEMENT, b"by_sql").expect("it fits");
    write::sync(&mut out);
    client.send(&out).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&answer), "2DC3Z");
    assert_eq!(answer[1].first_column(), "42");
    run(&mut client, "deallocate by_protocol").await;
    assert_eq!(value(&mut client, "select count(*) from pg_prepared_statements").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_can_be_called_by_message() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session-calls", "single").await;
    let mut client = session(&tenant).await;
    let function = value(&mut client, "select 'pg_backend_pid()'::regprocedure::oid").await;
    let backend = value(&mut client, "select pg_backend_pid()").await;
    let mut out = Vec::new();
    write::function_call(&mut out, function.parse().expect("an object id"));
    client.send(&out).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&answer), "VZ");
    assert_eq!(&answer[0].body[4..], backend.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_off_takes_the_connection_along() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session-broken", "single").await;
    let mut next = login(&tenant).await;
    run(&mut next, "create table written (a int)").await;
    for unfinished in ["begin; insert into written values (1)", "select pg_sleep(600)"] {
        let mut client = session(&tenant).await;
        let mut out = Vec::new();
        write::query(&mut out, unfinished.as_bytes()).expect("it fits");
        client.send(&out).await.expect("sent");
        if unfinished.starts_with("begin") {
            client.until_ready().await.expect("an answer");
        }
        drop(client);
        assert_eq!(value(&mut next, "select count(*) from written").await, "0", "after {unfinished}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_startup_packet_set_comes_back_with_a_reset() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session-settings", "single").await;
    let options = "-c tenantry.pool_mode=session -c statement_timeout=7s -c timezone=Asia/Tokyo";
    let mut client = login_with(&tenant, &[("options", options)]).await;
    for reset in ["discard all", "reset all"] {
        run(&mut client, "set statement_timeout = '1s'; set timezone = 'UTC'").await;
        assert_eq!(value(&mut client, "show statement_timeout").await, "1s");
        run(&mut client, reset).await;
        assert_eq!(value(&mut client, "show statement_timeout").await, "7s", "after {reset}");
        assert_eq!(value(&mut client, "show timezone").await, "Asia/Tokyo", "after {reset}");
    }
    run(&mut client, "create temp table held (a int)").await;
    assert_eq!(value(&mut client, "select 'held'::regclass::text").await, "held", "it is still a session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_may_say_so_and_its_client_may_think_otherwise() {
    let stack: &Stack = &STACK;
    let mut tenant = tenant(stack, "session-credential", "pair").await;
    let body = json!({ "kind": "password", "pool_mode": "session" });
    let created =
        stack.must(Method::POST, &path(&["tenants", &tenant.slug, "credentials"]), Some(&body)).await;
    tenant.connection_string = created["connection_string"].as_str().expect("a connection string").to_owned();
    let keeps = async |parameters: &[(&str, &str)]| {
        let whose = [("user", "app"), ("database", tenant.slug.as_str())];
        let parameters: Vec<_> = whose.into_iter().chain(parameters.iter().copied()).collect();
        let mut client = eventually("the credential is known", async || {
            WireClient::login_as(&tenant.config(), &parameters).await.ok()
        })
        .await;
        run(&mut client, "select 1").await;
        let leased = ["tenant=\"session-credential\"", "state=\"active\""];
        let kept = stack.metric("tenantry_pool_connections", &leased).await == 1.0;
        leave(client).await;
        let free = async || stack.metric("tenantry_pool_connections", &leased).await == 0.0;
        wait_until("its connection is free", free).await;
        kept
    };
    assert!(keeps(&[]).await, "by its credential");
    assert!(!keeps(&[("pool_mode", "transaction")]).await, "by its own wish");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_are_refused() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "session-modes", "single").await;
    for parameter in
        [("pool_mode", "statement"), ("options", "-c tenantry.pool_mode=statement"), ("pool_mode", "x")]
    {
        let parameters = [("user", "app"), ("database", tenant.slug.as_str()), parameter];
        let error = WireClient::login_as(&tenant.config(), &parameters).await.err().expect("refused");
        assert_eq!(error.sqlstate(), "0A000", "{parameter:?}");
        assert!(error.text().contains("pool mode"), "{}", error.text());
    }
}

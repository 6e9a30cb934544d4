//! State that an operator refuses: the client is told, and nothing of its statement reaches the server.

use harness::wire::{WireClient, tags};
use harness::{Stack, Tenant};
use pgwire::frontend::write;
use tenantry::dev::StackOptions;

async fn refusing() -> (Stack, Tenant) {
    let refuse_all = |gateway: &mut config::GatewayConfig| {
        let refuse = config::StatePolicy::Refuse;
        gateway.state = config::StateConfig {
            setting: refuse,
            role: refuse,
            listen: config::ListenPolicy::Refuse,
            prepare: refuse,
            temporary: refuse,
            hold_cursor: refuse,
            advisory_lock: refuse,
            library: refuse,
            unknown: refuse,
            ..config::StateConfig::default()
        };
    };
    let stack = Stack::start_with(StackOptions::ephemeral().gateway(refuse_all)).await;
    let tenant = stack.create_tenant("refused", "eu").await;
    (stack, tenant)
}

const REFUSED: &[&str] = &[
    "select 1, set_config('work_mem', '5MB', false)",
    "set role nobody",
    "listen a",
    "prepare p as select 1",
    "create temp table t (a int)",
    "declare c cursor with hold for select 1",
    "select pg_advisory_lock(1)",
    "load 'x'",
    "do $$ begin end $$",
];

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_never_reaches_the_server() {
    let (stack, tenant) = refusing().await;
    let mut client = login(&tenant).await;
    for sql in REFUSED {
        let messages = client.query(sql).await.expect("an answer");
        assert_eq!(tags(&messages), "EZ", "{sql}");
        assert_eq!(messages[0].sqlstate(), "0A000", "{sql}");
        assert!(messages[0].text().contains("not allowed"), "{sql}: {}", messages[0].text());
    }
    // A part of a text that would have done something does not, nor is its transaction carried on.
    assert_eq!(client.query("create table made (a int); listen a").await.expect("an answer")[0].tag, b'E');
    assert_eq!(client.value("select to_regclass('made') is null").await, "t");
    client.query("begin").await.expect("an answer");
    client.query("create table made (a int)").await.expect("an answer");
    let refused = client.query("listen a").await.expect("an answer");
    assert_eq!(
        refused.last().map(|ready| ready.body.as_slice()),
        Some(&b"E"[..]),
        "the transaction has failed"
    );
    client.query("commit").await.expect("an answer");
    assert_eq!(client.value("select to_regclass('made') is null").await, "t");
    // What follows its client, or ends with the transaction, is nobody's trouble.
    for sql in
        ["set statement_timeout = '7s'", "begin; set local work_mem = '5MB'; commit", "set timezone = 'UTC'"]
    {
        assert!(!tags(&client.query(sql).await.expect("an answer")).contains('E'), "{sql}");
    }
    drop(stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_refused_pipeline_is_skipped_to_its_sync() {
    let (stack, tenant) = refusing().await;
    let mut client = login(&tenant).await;
    for name in ["", "named"] {
        let mut out = Vec::new();
        for (statement, sql) in [(name, "listen a"), ("", "select 1")] {
            write::parse(&mut out, statement.as_bytes(), sql.as_bytes(), &[]).expect("it fits");
            write::bind_text(&mut out, b"", statement.as_bytes(), &[]).expect("it fits");
            write::execute(&mut out, b"", 0).expect("it fits");
        }
        write::sync(&mut out);
        write::query(&mut out, b"select 2").expect("it fits");
        client.send(&out).await.expect("sent");
        let refused = client.until_ready().await.expect("an answer");
        assert_eq!((tags(&refused).as_str(), refused[0].sqlstate().as_str()), ("EZ", "0A000"));
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "TDCZ");
    }
    drop(stack);
}

//! A statement that comes again is parsed once on the connection, and answered as if it were not.

use super::{Http, answer, ok};
use harness::{Stack, Tenant};
use serde_json::{Value, json};
use suites::plans;

/// More than it takes to be known again, and to be used again on the tenant's one connection.
const TIMES: usize = 4;

async fn stack() -> (Stack, Tenant, Http) {
    let stack = Stack::start().await;
    plans::add(&stack, "one", plans::limits(1, 20, 20, 60_000)).await;
    let body = json!({ "slug": "again", "region": "eu", "plan": "one" });
    let tenant = stack.create_tenant_with(body).await;
    let http = Http::new(&stack);
    (stack, tenant, http)
}

async fn ask(http: &Http, tenant: &Tenant, sql: &str, params: &[&str]) -> (u16, Value) {
    answer(http.with_key(tenant, &json!({"query": sql, "params": params, "arrayMode": true}))).await
}

/// Asks so often that the statement is used again.
async fn rows(http: &Http, tenant: &Tenant, sql: &str, params: &[&str]) -> Value {
    let mut last = Value::Null;
    for _ in 0..TIMES {
        let (status, body) = ask(http, tenant, sql, params).await;
        assert_eq!(status, 200, "{sql}: {body:#}");
        last = body["rows"].clone();
    }
    last
}

async fn uses(stack: &Stack) -> f64 {
    stack.metric("tenantry_prepared_hits_total", &[]).await
}

async fn healed(stack: &Stack) -> f64 {
    stack.metric("tenantry_prepared_heals_total", &[]).await
}

#[tokio::test]
async fn a_statement_that_comes_again_is_parsed_once_and_answered_alike() {
    let (stack, tenant, http) = stack().await;
    let owner = tenant.connect().await;
    owner
        .batch_execute("create table notes (n int, t text); insert into notes values (1, 'a'), (2, 'b')")
        .await
        .unwrap();
    let before = uses(&stack).await;
    let by_number = "select n, t from notes where n = $1";
    assert_eq!(rows(&http, &tenant, by_number, &["1"]).await, json!([[1, "a"]]));
    assert!(uses(&stack).await >= before + 2.0, "it was parsed each time");
    assert_eq!(ask(&http, &tenant, by_number, &["2"]).await.1["rows"], json!([[2, "b"]]));

    // An error in it is an error in it, and leaves it usable.
    let (status, wrong) = ask(&http, &tenant, by_number, &["x"]).await;
    assert_eq!((status, &wrong["code"]), (400, &json!("22P02")), "{wrong:#}");
    assert_eq!(rows(&http, &tenant, by_number, &["1"]).await, json!([[1, "a"]]));
    changes_are_followed(&stack, &http, &tenant, by_number).await;
    what_is_deallocated_comes_back(&http, &tenant).await;
    stack.stop().await;
}

/// By whomever: unseen by the gateway, or through it.
async fn changes_are_followed(stack: &Stack, http: &Http, tenant: &Tenant, by_number: &str) {
    let physical = stack.physical(tenant).await;
    let unseen = stack.cluster_admin(&physical.cluster, &physical.database).await;
    let before = healed(stack).await;
    unseen.batch_execute("alter table notes alter column t type int using 7").await.unwrap();
    assert_eq!(ask(http, tenant, by_number, &["1"]).await.1["rows"], json!([[1, 7]]));
    assert!(healed(stack).await > before);
    assert_eq!(rows(http, tenant, by_number, &["1"]).await, json!([[1, 7]]));

    unseen.batch_execute("drop table notes").await.unwrap();
    let (status, gone) = ask(http, tenant, by_number, &["1"]).await;
    assert_eq!((status, &gone["code"]), (400, &json!("42P01")), "{gone:#}");
    for sql in ["create table notes (n bigint, t text)", "insert into notes values (1, 'new')"] {
        let (status, body) = ask(http, tenant, sql, &[]).await;
        assert_eq!(status, 200, "{body:#}");
    }
    assert_eq!(rows(http, tenant, by_number, &["1"]).await, json!([["1", "new"]]));
}

async fn what_is_deallocated_comes_back(http: &Http, tenant: &Tenant) {
    let sql = "select count(*)::int from notes";
    assert_eq!(rows(http, tenant, sql, &[]).await, json!([[1]]));
    ok(http.with_key(tenant, &json!({"query": "deallocate all"}))).await;
    assert_eq!(rows(http, tenant, sql, &[]).await, json!([[1]]));
}

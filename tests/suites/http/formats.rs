//! What a client may ask for besides statements: another format, compression, only to read, to be traced.

use super::{Http, answer, ok, value};
use harness::{Stack, Tenant};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::io::Read;
use suites::plans;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_client_gets_its_result_as_it_asks_for_it() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);

    formats_are_negotiated(&http, &tenant).await;
    results_are_compressed_for_who_accepts_it(&http, &tenant).await;
    what_may_only_read_cannot_write(&http, &tenant).await;
    a_statement_names_its_request(&http, &tenant).await;
    errors_know_nothing_of_the_comment(&http, &tenant).await;
    a_session_has_its_clients_name(&http, &tenant).await;
}

fn query(http: &Http, tenant: &Tenant, sql: &str) -> RequestBuilder {
    http.with_key(tenant, &json!({"query": sql, "arrayMode": true}))
}

fn content_type(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

async fn formats_are_negotiated(http: &Http, tenant: &Tenant) {
    let sql = "select 1 as a, 'x,\"y\"' as b union all select null, ''";
    let csv = query(http, tenant, sql).header("Accept", "text/csv").send().await.unwrap();
    assert_eq!(content_type(&csv), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.headers()["vary"], "Accept, Accept-Encoding");
    assert_eq!(csv.text().await.unwrap(), "a,b\r\n1,\"x,\"\"y\"\"\"\r\n,\"\"\r\n");

    let batch = json!({"queries": [{"query": "select 7 as n"}, {"query": "select 8", "arrayMode": true}]});
    let lines = http.with_key(tenant, &batch).header("Accept", "application/x-ndjson").send().await.unwrap();
    assert_eq!(content_type(&lines), "application/x-ndjson");
    let text = lines.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[1], &lines[4]), (&json!({"row": {"n": 7}}), &json!({"row": [8]})));
    assert_eq!(lines[6], json!({"end": {"results": 2}}));

    for (request, accept) in
        [(query(http, tenant, "select 1"), "text/html"), (http.with_key(tenant, &batch), "text/csv")]
    {
        let (status, error) = answer(request.header("Accept", accept)).await;
        assert_eq!((status, &error["code"]), (406, &json!("0A000")), "{accept}");
    }
}

async fn results_are_compressed_for_who_accepts_it(http: &Http, tenant: &Tenant) {
    let held = "select repeat('held ', 2000)";
    let streamed = "select repeat('streamed ', 10) from generate_series(1, 20000)";
    for (encoding, sql) in ["gzip", "br", "zstd"].into_iter().flat_map(|e| [(e, held), (e, streamed)]) {
        let response = query(http, tenant, sql).header("Accept-Encoding", encoding).send().await.unwrap();
        assert_eq!(response.headers()["content-encoding"], encoding);
        let body: Value =
            serde_json::from_slice(&decoded(encoding, &response.bytes().await.unwrap())).unwrap();
        let rows = body["rows"].as_array().unwrap();
        assert_eq!(body["rowCount"], rows.len());
        assert!(rows.last().unwrap()[0].as_str().unwrap().len() >= 90);
    }
    let tiny = query(http, tenant, "select 1").header("Accept-Encoding", "gzip").send().await.unwrap();
    assert!(!tiny.headers().contains_key("content-encoding"));
    let late = "select 1 / (20000 - i), repeat('x', 100) from generate_series(1, 20000) i";
    let broken = query(http, tenant, late).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert!(broken.bytes().await.is_err(), "it looks whole");
}

fn decoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        "br" => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut plain).unwrap(),
        _ => zstd::stream::copy_decode(bytes, &mut plain).map(|()| plain.len()).unwrap(),
    };
    plain
}

async fn what_may_only_read_cannot_write(http: &Http, tenant: &Tenant) {
    for sql in [
        "create table notes (id int)",
        "create function note() returns int language sql volatile as 'insert into notes values (1) returning id'",
    ] {
        ok(query(http, tenant, sql)).await;
    }
    let reading = |body: Value| {
        http.request(reqwest::Method::POST, "/sql?read_only=true")
            .body(body.to_string())
            .bearer_auth(&tenant.api_key)
    };
    let read = ok(reading(json!({"query": "select $1::int as n", "params": [5]}))).await;
    assert_eq!((&read["rows"], &read["command"]), (&json!([{"n": 5}]), &json!("SELECT")));
    for (sql, code) in [
        ("insert into notes values (1)", "25006"),
        ("select note()", "25006"),
        ("drop table notes", "25006"),
        ("set transaction read write", "25001"),
        ("select set_config('transaction_read_only', 'off', true)", "25001"),
        ("commit", "2D000"),
        ("/* */ rollback and chain", "2D000"),
    ] {
        let (status, error) = answer(reading(json!({ "query": sql }))).await;
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{sql}");
        let insert = json!({"query": "insert into notes values (2)"});
        let (status, _) = answer(reading(json!({"queries": [{"query": sql}, insert]}))).await;
        assert_eq!(status, 400, "{sql}");
    }
    let loosened = json!({"queries": [
        {"query": "set session characteristics as transaction read write"},
        {"query": "savepoint a"}, {"query": "rollback to a"}, {"query": "insert into notes values (3)"}]});
    assert_eq!(answer(reading(loosened)).await.1["code"], "25006");
    assert_eq!(value(http, tenant, "select count(*)::int from notes").await, 0);
    // Were one of these let pass, who meant to read would write.
    for query in ["read_only=perhaps", "readonly=true", "READ_ONLY=true", "read_only=true&x=1"] {
        let unclear =
            http.request(reqwest::Method::POST, &format!("/sql?{query}")).bearer_auth(&tenant.api_key);
        let (status, error) = answer(unclear.body("{\"query\":\"select 1\"}")).await;
        assert_eq!((status, &error["code"]), (400, &json!("08P01")), "{query}");
    }
    let escaped = http.request(reqwest::Method::POST, "/sql?read%5Fonly=true").bearer_auth(&tenant.api_key);
    let insert = json!({"query": "insert into notes values (2)"}).to_string();
    assert_eq!(answer(escaped.body(insert)).await.1["code"], "25006");
    ok(query(http, tenant, "insert into notes values (4)")).await;
}

async fn a_statement_names_its_request(http: &Http, tenant: &Tenant) {
    let sql = "select query from pg_stat_activity where pid = pg_backend_pid()";
    let asked = query(http, tenant, sql).header("traceparent", TRACEPARENT);
    let response = asked.send().await.unwrap();
    let request = response.headers()["neon-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let seen = body["rows"][0][0].as_str().unwrap();
    let expected =
        format!("{sql} /*request:{request},tenant:acme,traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-");
    assert!(seen.starts_with(&expected) && seen.ends_with("-01*/"), "{seen}");
    let hostile = query(http, tenant, sql).header("traceparent", "00-*/ drop table notes; --");
    let body = ok(hostile).await;
    assert_eq!(
        body["rows"][0][0], sql,
        "one that cannot be read is none, and who is not traced says nothing"
    );
}

async fn errors_know_nothing_of_the_comment(http: &Http, tenant: &Tenant) {
    let direct = tenant.connect().await;
    for sql in [
        "select 'é' +",
        "select 'abc",
        "select \"abc",
        "select /* abc",
        "selec 1",
        "select wrong",
        "select 1 --",
    ] {
        let body = query(http, tenant, sql).header("traceparent", TRACEPARENT);
        let expected = direct.prepare(sql).await;
        let Err(expected) = expected else {
            ok(body).await;
            continue;
        };
        let expected = expected.as_db_error().unwrap();
        let (_, error) = answer(body).await;
        let position = expected.position().map(|position| match position {
            tokio_postgres::error::ErrorPosition::Original(position) => json!(position.to_string()),
            other => panic!("{other:?}"),
        });
        assert_eq!(error["message"], expected.message(), "{sql}");
        assert_eq!(error["position"], position.unwrap_or_default(), "{sql}");
    }
}

async fn a_session_has_its_clients_name(http: &Http, tenant: &Tenant) {
    let named = |name: &str| {
        let separator = if tenant.connection_string.contains('?') { '&' } else { '?' };
        let string = format!("{}{separator}application_name={name}", tenant.connection_string);
        http.as_driver(&string, &json!({"query": "show application_name"}))
    };
    let unnamed = value(http, tenant, "show application_name").await;
    assert_eq!(ok(named("pkg%3Ashop")).await["rows"], json!([["pkg:shop"]]));
    assert_eq!(ok(named("caf%C3%A9'%00")).await["rows"], json!([["caf??'?"]]));
    let long = "n".repeat(100);
    assert_eq!(ok(named(&long)).await["rows"], json!([[long[..63]]]));
    assert_eq!(value(http, tenant, "show application_name").await, unnamed, "it does not travel");
}

#[tokio::test]
async fn a_plan_bounds_bodies_and_results() {
    let stack = Stack::start().await;
    let mut limits = plans::limits(2, 10, 10, 10_000);
    (limits.body_bytes_max, limits.result_bytes_max) = (10_000, 50_000);
    plans::add(&stack, "narrow", limits).await;
    let tenant = stack.create_tenant_with(json!({"slug": "acme", "region": "eu", "plan": "narrow"})).await;
    let other = stack.create_tenant("other", "eu").await;
    let http = Http::new(&stack);

    let body = format!("select length('{}')", "x".repeat(20_000));
    let (status, error) = answer(query(&http, &tenant, &body)).await;
    assert_eq!((status, &error["code"]), (413, &json!("54000")));
    assert_eq!(error["message"], "request is too large (max is 10000 bytes)");
    let (status, error) = answer(query(&http, &tenant, "select repeat('x', 60000)")).await;
    assert_eq!((status, &error["code"]), (507, &json!("54000")));
    assert_eq!(error["message"], "response is too large (max is 50000 bytes)");
    ok(query(&http, &tenant, "select repeat('x', 40000)")).await;
    ok(query(&http, &other, &body)).await;
    ok(query(&http, &other, "select repeat('x', 60000)")).await;
}

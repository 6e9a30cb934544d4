//! The form of requests and answers: what `@neondatabase/serverless` sends and reads.

use super::{Http, answer, ok};
use harness::Stack;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn requests_and_answers_have_the_contracts_form() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);

    single_statements(&http, &tenant.connection_string).await;
    values_become_json(&http, &tenant).await;
    parameters_reach_the_server_as_text(&http, &tenant).await;
    batches_are_transactions(&http, &tenant.connection_string).await;
    errors_keep_postgresqls_fields(&http, &tenant.connection_string).await;
    what_http_cannot_carry_is_refused(&http, &tenant).await;
    browsers_may_ask(&http, &tenant).await;
    other_paths_have_problems(&http).await;
}

async fn single_statements(http: &Http, connection_string: &str) {
    let body = json!({"query": "select $1::int as n, null as x", "params": ["42"]});
    let result = ok(http.as_driver(connection_string, &body)).await;
    let field = |name, oid, size| {
        json!({"name": name, "dataTypeID": oid, "tableID": 0, "columnID": 0, "dataTypeSize": size,
               "dataTypeModifier": -1, "format": "text"})
    };
    let expected = json!({
        "fields": [field("n", 23, 4), field("x", 25, -1)],
        "rows": [["42", null]], "command": "SELECT", "rowCount": 1, "rowAsArray": true,
    });
    assert_eq!(result, expected);
    for (sql, command, count) in [
        ("create table items (id int primary key, name text)", "CREATE", Value::Null),
        ("insert into items values (1, 'a'), (2, 'b')", "INSERT", json!(2)),
        ("delete from items where id = 2", "DELETE", json!(1)),
        ("", "", Value::Null),
    ] {
        let result = ok(http.as_driver(connection_string, &json!({"query": sql}))).await;
        assert_eq!((&result["command"], &result["rowCount"]), (&json!(command), &count), "{sql}");
        assert_eq!((&result["fields"], &result["rows"]), (&json!([]), &json!([])), "{sql}");
    }
}

async fn values_become_json(http: &Http, tenant: &harness::Tenant) {
    let sql = "select 7::int2 as a, 'NaN'::float8 as b, 1.5::float4 as c, true as d, '{\"k\": [1]}'::jsonb as e, \
               array[[1,2],[3,null]] as f, 9007199254740993::int8 as g, 1.10::numeric as h, \
               '2020-01-01'::date as i, array['a,b', 'c\"d'] as j, 1 as k, 2 as k";
    let result = ok(http.with_key(tenant, &json!({"query": sql}))).await;
    let expected = json!({"a": 7, "b": "NaN", "c": 1.5, "d": true, "e": {"k": [1]}, "f": [[1, 2], [3, null]],
        "g": "9007199254740993", "h": "1.10", "i": "2020-01-01", "j": ["a,b", "c\"d"], "k": 2});
    assert_eq!(result["rows"], json!([expected]));
    assert_eq!(result["rowAsArray"], false);
    let arrays =
        ok(http.with_key(tenant, &json!({"query": "select 1 as k, 2 as k", "arrayMode": true}))).await;
    assert_eq!(arrays["rows"], json!([[1, 2]]));
}

async fn parameters_reach_the_server_as_text(http: &Http, tenant: &harness::Tenant) {
    let sql = "select $1::text, $2::bool, $3::numeric, $4::jsonb, $5::text[], $6::int[]";
    let params =
        json!(["it's \"so\"\n", true, 12.5, {"a": [1, "x"]}, ["a\"b", null, "c,\\d\n"], [[1, 2], [3, 4]]]);
    let body = json!({"query": sql, "params": params, "arrayMode": true});
    let result = ok(http.with_key(tenant, &body)).await;
    let expected = json!([["it's \"so\"\n", true, "12.5", {"a": [1, "x"]}, ["a\"b", null, "c,\\d\n"], [[1, 2], [3, 4]]]]);
    assert_eq!(result["rows"], expected);
}

async fn batches_are_transactions(http: &Http, connection_string: &str) {
    let batch = |queries: &[&str]| {
        let queries: Vec<_> = queries.iter().map(|query| json!({"query": query})).collect();
        http.as_driver(connection_string, &json!({"queries": queries}))
    };
    let shaped = batch(&["show transaction_isolation", "show transaction_read_only"])
        .header("Neon-Batch-Isolation-Level", "RepeatableRead")
        .header("Neon-Batch-Read-Only", "true")
        .header("Neon-Batch-Deferrable", "true");
    let response = shaped.send().await.unwrap();
    for (name, value) in [
        ("neon-batch-isolation-level", "RepeatableRead"),
        ("neon-batch-read-only", "true"),
        ("neon-batch-deferrable", "true"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["results"][0]["rows"], json!([["repeatable read"]]));
    assert_eq!(body["results"][1]["rows"], json!([["on"]]));

    let (status, error) = answer(batch(&["insert into items values (3, 'c')", "select 1/0"])).await;
    assert_eq!((status, &error["code"]), (400, &json!("22012")));
    let body = ok(batch(&["insert into items values (4, 'd')", "select count(*)::int from items"])).await;
    assert_eq!(body["results"][1]["rows"], json!([["2"]]), "3 was rolled back, 4 is seen by its own batch");
    assert_eq!(ok(batch(&[])).await, json!({"results": []}));
    let unknown = batch(&["select 1"]).header("Neon-Batch-Isolation-Level", "Chaos");
    assert_eq!(answer(unknown).await.0, 400);

    let deferred = [
        "create table parents (id int primary key)",
        "create table children (parent int references parents deferrable initially deferred)",
    ];
    ok(batch(&deferred)).await;
    let (status, error) = answer(batch(&["insert into children values (1)"])).await;
    assert_eq!(
        (status, &error["code"]),
        (400, &json!("23503")),
        "what only shows at COMMIT is the client's too"
    );
}

async fn errors_keep_postgresqls_fields(http: &Http, connection_string: &str) {
    let query = |sql: &str| http.as_driver(connection_string, &json!({"query": sql}));
    let (status, error) = answer(query("insert into items values (1, 'again')")).await;
    assert_eq!(status, 400);
    for (field, value) in [
        ("code", json!("23505")),
        ("severity", json!("ERROR")),
        ("schema", json!("public")),
        ("table", json!("items")),
        ("constraint", json!("items_pkey")),
        ("detail", json!("Key (id)=(1) already exists.")),
        ("hint", Value::Null),
        ("position", Value::Null),
    ] {
        assert_eq!(error[field], value, "{field}");
    }
    assert_eq!(error.as_object().unwrap().len(), 17);
    let (_, error) = answer(query("select wrong from items")).await;
    assert_eq!((&error["code"], &error["position"]), (&json!("42703"), &json!("8")));
    assert!(error["line"].is_string());
}

async fn what_http_cannot_carry_is_refused(http: &Http, tenant: &harness::Tenant) {
    let query = |sql: &str| http.with_key(tenant, &json!({"query": sql}));
    for (sql, code) in [
        ("copy items from stdin", "0A000"),
        ("copy items to stdout", "0A000"),
        ("select 1; select 2", "42601"),
        ("select 'a\0b'", "22021"),
    ] {
        let (status, error) = answer(query(sql)).await;
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{sql:?}");
    }
    let (status, error) = answer(http.with_key(tenant, &json!({"nothing": true}))).await;
    assert_eq!((status, &error["code"]), (400, &json!("08P01")));
    ok(query("select 1")).await;
}

async fn browsers_may_ask(http: &Http, tenant: &harness::Tenant) {
    let preflight = http.request(Method::OPTIONS, "/sql").header("Origin", "https://app.example.com");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-max-age"], "86400");
    let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap().to_lowercase();
    for header in ["authorization", "neon-connection-string", "neon-array-mode", "neon-batch-deferrable"] {
        assert!(allowed.contains(header), "{header}");
    }
    let features = http.request(Method::OPTIONS, "/features").send().await.unwrap();
    assert_eq!(features.status(), 200);
    assert_eq!(features.headers()["access-control-allow-methods"], "GET, HEAD, OPTIONS");
    let requests = [
        http.with_key(tenant, &json!({"query": "select 1"})),
        http.sql(&json!({})),
        http.request(Method::GET, "/features").bearer_auth(&tenant.api_key),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["neon-request-id"].len(), 36);
    }
}

async fn other_paths_have_problems(http: &Http) {
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/sql", 405),
        (Method::POST, "/features", 405),
        (Method::DELETE, "/healthz", 405),
        (Method::GET, "/healthz", 200),
        (Method::HEAD, "/readyz", 200),
        (Method::GET, "/readyz", 200),
    ] {
        let response = http.request(method.clone(), path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        if status != 200 {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["status"], status);
        }
    }
}

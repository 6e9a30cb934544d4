//! What comes over HTTP is what PostgreSQL says: every type's text and number, and every field of an error, held against a
//! connection that goes straight to the server.

use super::{Http, answer, ok, value};
use harness::{Stack, Tenant};
use serde_json::{Value, json};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// Values of PostgreSQL's types: usual ones, odd ones, and those at the ends.
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["t", "f"]),
    ("int2", &["-32768", "32767"]),
    ("int4", &["-2147483648", "0"]),
    ("int8", &["-9223372036854775808", "9223372036854775807"]),
    ("float4", &["1.5", "NaN", "-Infinity", "1e-45"]),
    ("float8", &["0.1", "1e308", "-0", "Infinity"]),
    ("numeric", &["123456789012345678901234567890.123", "NaN", "0.000", "-1e-20"]),
    ("numeric(10,2)", &["1.005"]),
    ("money", &["12.34"]),
    ("text", &["", "naïve ☃ \"quoted\" 'single' \\ \n\t", "NULL"]),
    ("varchar(5)", &["abc"]),
    ("char(5)", &["abc"]),
    ("\"char\"", &["x"]),
    ("name", &["a_name"]),
    ("bytea", &["\\x00ff10", ""]),
    ("date", &["2026-11-21", "infinity", "0001-01-01 BC"]),
    ("time", &["23:59:59.999999", "24:00:00"]),
    ("timetz", &["12:00:00+05:30"]),
    ("timestamp", &["2026-11-21 22:39:00.123456", "-infinity"]),
    ("timestamptz", &["2026-11-21 22:39:00+02", "infinity"]),
    ("interval", &["1 year 2 mons 3 days 04:05:06.7", "-00:00:01"]),
    ("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("json", &["{\"a\": [1, null, 1e300], \"a\": 2}", "null"]),
    ("jsonb", &["{\"b\": 12345678901234567890.10, \"é\": \"\\u0001\"}", "\"text\""]),
    ("jsonpath", &["$.a[*] ? (@ > 1)"]),
    ("xml", &["<a>b</a>"]),
    ("inet", &["192.0.2.1/24", "2001:db8::1"]),
    ("cidr", &["10.0.0.0/8"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("bit(4)", &["1010"]),
    ("varbit", &["10111"]),
    ("point", &["(1.5,-2)"]),
    ("line", &["{1,2,3}"]),
    ("lseg", &["[(0,0),(1,1)]"]),
    ("box", &["(2,2),(1,1)"]),
    ("path", &["[(0,0),(1,1)]"]),
    ("polygon", &["((0,0),(1,1),(1,0))"]),
    ("circle", &["<(0,0),5>"]),
    ("tsvector", &["'a':1A 'cat':2"]),
    ("tsquery", &["'a' & !'b'"]),
    ("int4range", &["[1,5)", "empty"]),
    ("tstzrange", &["[2026-01-01 00:00:00+00,)"]),
    ("int8range", &["(,9007199254740993)"]),
    ("numrange", &["[1.10,2.20]"]),
    ("tsrange", &["[2026-01-01 00:00:00,2026-01-02 00:00:00)"]),
    ("daterange", &["[2026-01-01,2026-02-01)"]),
    ("nummultirange", &["{[1,2],(3,4)}"]),
    ("pg_lsn", &["16/B374D848"]),
    ("oid", &["4294967295"]),
    ("regclass", &["pg_class"]),
    ("regtype", &["integer"]),
    ("xid", &["4294967295"]),
    ("tid", &["(1,2)"]),
    ("pg_snapshot", &["10:20:10,14"]),
    ("oidvector", &["1 2"]),
    ("int2vector", &["-1 2"]),
    ("xid8", &["18446744073709551615"]),
    ("int4[]", &["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}"]),
    ("text[]", &["{\"a,b\",\"c\\\"d\",\"NULL\",NULL,\"\"}"]),
    ("timestamptz[]", &["{\"2026-11-21 22:39:00+00\",NULL}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"]),
    ("bool[]", &["{t,f,NULL}"]),
    ("box[]", &["{(2,2),(1,1);(4,4),(3,3)}"]),
    ("int8[]", &["{9007199254740993,NULL}"]),
    ("numeric[]", &["{1.10,NaN}"]),
    ("float8[]", &["{1.5,Infinity}"]),
    ("uuid[]", &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
    ("bytea[]", &["{\"\\\\x00ff\"}"]),
    ("interval[]", &["{\"1 year\",NULL}"]),
    ("int4range[]", &["{\"[1,5)\",empty}"]),
    ("mood", &["happy"]),
    ("mood[]", &["{happy,sad}"]),
    ("pair", &["(1,\"a \"\"b\"\"\")"]),
    ("pair[]", &["{\"(1,a)\"}"]),
    ("positive", &["7"]),
];

/// Statements that fail, each in another way: with every field that an error can have.
const FAILURES: &[&str] = &[
    "selec 1",
    "select nope from things",
    "select * from nowhere",
    "select 1 / (select 0)",
    "insert into things values (1, 'again', 1)",
    "insert into things values (2, null, 1)",
    "insert into things values (2, 'too small', -1)",
    "insert into things values (2, 'no such parent', 9)",
    "select 'x'::int",
    "select 'happyish'::mood",
    "select (-1)::positive",
    "select '2026-13-45'::date",
    "select raises()",
    "do $$ begin raise exception using errcode = 'AB123', message = 'own', detail = 'the detail', hint = 'the hint', \
     column = 'c', constraint = 'k', datatype = 'd', table = 't', schema = 's'; end $$",
    "select sqrt(-1)",
    "select repeat('x', -1)::varchar(3)::int",
    "create table things (n int)",
    "select count(*) from generate_series(1, 2) group by nope",
    "select length('a', 'b')",
    "select '{'::jsonb",
    "select * from things where id = any('{1,x}')",
    "select * from things where name = 1",
    "set nope to 1",
    "fetch from nowhere",
    "do $$ begin execute 'selec 1'; end $$",
    "/* é */ select 'é' || nope from things",
];

/// Straight to the tenant's database.
async fn direct(stack: &Stack, http: &Http, tenant: &Tenant) -> Client {
    let database = value(http, tenant, "select current_database()").await;
    let mut config: Config = stack.descriptor().clusters[0].admin_dsn.parse().unwrap();
    let (client, connection) = config.dbname(database.as_str().unwrap()).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn set_up(http: &Http, tenant: &Tenant) {
    for sql in [
        "create type mood as enum ('sad', 'happy')",
        "create type pair as (n int, t text)",
        "create domain positive as int check (value > 0)",
        "create table parents (id int primary key)",
        "insert into parents values (1)",
        "create table things (id int primary key, name text not null, parent int check (parent > 0) references parents)",
        "insert into things values (1, 'first', 1)",
        "create function raises() returns int language plpgsql as $$ begin perform 1/0; return 1; end $$",
    ] {
        ok(http.with_key(tenant, &json!({ "query": sql }))).await;
    }
}

#[tokio::test]
async fn what_comes_is_what_postgresql_says() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    set_up(&http, &tenant).await;
    let direct = direct(&stack, &http, &tenant).await;
    for (name, values) in VALUES {
        for text in *values {
            check_value(&http, &tenant, &direct, name, text).await;
        }
    }
    for sql in FAILURES {
        check_failure(&http, &tenant, &direct, sql).await;
    }
    the_end_of_a_session_is_told(&http, &tenant).await;
}

/// What PostgreSQL said last, although nothing of a result can follow it.
async fn the_end_of_a_session_is_told(http: &Http, tenant: &Tenant) {
    let ends = json!({"query": "select pg_terminate_backend(pg_backend_pid())"});
    let (status, said) = answer(http.with_key(tenant, &ends)).await;
    assert_eq!((status, &said["code"], &said["severity"]), (400, &json!("57P01"), &json!("FATAL")), "{said}");
    assert_eq!(value(http, tenant, "select 1").await, 1);
}

/// There as a parameter, and back as raw text.
async fn check_value(http: &Http, tenant: &Tenant, direct: &Client, name: &str, text: &str) {
    let literal = text.replace('\'', "''");
    let said = direct.simple_query(&format!("select '{literal}'::{name} as v")).await.unwrap();
    let row = said.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    let prepared = direct.prepare(&format!("select null::{name} as v")).await.unwrap();
    let body = json!({"query": format!("select $1::{name} as v"), "params": [text]});
    let result = ok(http.as_driver(&tenant.connection_string, &body)).await;
    assert_eq!(result["rows"], json!([[row.unwrap()]]), "{name}: {text}");
    assert_eq!(result["fields"][0]["dataTypeID"], json!(prepared.columns()[0].type_().oid()), "{name}");
    // Without raw text a value that is no number, boolean, array or JSON is the same text.
    let cooked = ok(http.with_key(tenant, &body)).await;
    let cooked = &cooked["rows"][0]["v"];
    assert!(!cooked.is_string() || *cooked == result["rows"][0][0] || text == "\"text\"", "{name}: {cooked}");
}

async fn check_failure(http: &Http, tenant: &Tenant, direct: &Client, sql: &str) {
    let error = direct.prepare(sql).await.err();
    let error = match error {
        Some(error) => error,
        None => direct.query(sql, &[]).await.expect_err("it fails"),
    };
    let expected = fields(error.as_db_error().expect("PostgreSQL says so"));
    let alone = json!({ "query": sql });
    let among_others =
        json!({"queries": [{"query": "select 'a longer one than most'"}, alone, {"query": "select 2"}]});
    for body in [&alone, &among_others] {
        let (status, said) = answer(http.with_key(tenant, body)).await;
        assert_eq!(status, 400, "{body}: {said}");
        // Where in its own source the server noticed is the server's version's affair, and is compared all the same.
        assert_eq!(said.as_object().unwrap().len(), 17, "{body}");
        assert_eq!(said, expected, "{body}");
    }
}

fn fields(error: &DbError) -> Value {
    let (position, internal) = match error.position() {
        Some(ErrorPosition::Original(position)) => (Some(position.to_string()), None),
        Some(ErrorPosition::Internal { position, query }) => {
            (None, Some((position.to_string(), query.clone())))
        }
        None => (None, None),
    };
    let (internal_position, internal_query) = internal.unzip();
    json!({
        "message": error.message(), "code": error.code().code(), "severity": error.severity(),
        "detail": error.detail(), "hint": error.hint(), "position": position,
        "internalPosition": internal_position, "internalQuery": internal_query, "where": error.where_(),
        "schema": error.schema(), "table": error.table(), "column": error.column(),
        "dataType": error.datatype(), "constraint": error.constraint(), "file": error.file(),
        "line": error.line().map(|line| line.to_string()), "routine": error.routine(),
    })
}

#[tokio::test]
async fn every_option_of_a_batch_is_its_transactions() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    ok(http.with_key(&tenant, &json!({"query": "create table t (n int)"}))).await;
    let shown = "select current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only') \
                 || ' ' || current_setting('transaction_deferrable')";
    for (header, isolation) in [
        (None, "read committed"),
        (Some("ReadUncommitted"), "read uncommitted"),
        (Some("ReadCommitted"), "read committed"),
        (Some("RepeatableRead"), "repeatable read"),
        (Some("Serializable"), "serializable"),
    ] {
        for (read_only, deferrable) in [(false, false), (true, false), (false, true), (true, true)] {
            let body = json!({"queries": [{"query": shown, "arrayMode": true}, {"query": "insert into t values (1)"}]});
            let mut request = http
                .with_key(&tenant, &body)
                .header("Neon-Batch-Read-Only", read_only.to_string())
                .header("Neon-Batch-Deferrable", deferrable.to_string());
            if let Some(level) = header {
                request = request.header("Neon-Batch-Isolation-Level", level);
            }
            let (status, said) = answer(request).await;
            let on = |flag| if flag { "on" } else { "off" };
            if read_only {
                assert_eq!((status, &said["code"]), (400, &json!("25006")), "{header:?}");
            } else {
                let expected = format!("{isolation} {} {}", on(read_only), on(deferrable));
                assert_eq!((status, &said["results"][0]["rows"][0][0]), (200, &json!(expected)));
            }
        }
    }
    assert_eq!(
        value(&http, &tenant, "select count(*)::int from t").await,
        10,
        "those that could write, and no others"
    );
}

#[tokio::test]
async fn browsers_may_send_every_header_and_read_every_answer() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let http = Http::new(&stack);
    let preflight = http
        .request(reqwest::Method::OPTIONS, "/sql")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST");
    let response = preflight.send().await.unwrap();
    let list = |name: &str| -> Vec<String> {
        let text = response.headers()[name].to_str().unwrap().to_lowercase();
        text.split(',').map(|word| word.trim().to_owned()).collect()
    };
    let allowed = list("access-control-allow-headers");
    for header in [
        "authorization",
        "content-type",
        "neon-connection-string",
        "neon-raw-text-output",
        "neon-array-mode",
        "neon-pool-opt-in",
        "neon-batch-isolation-level",
        "neon-batch-read-only",
        "neon-batch-deferrable",
    ] {
        assert!(allowed.iter().any(|allowed| allowed == header), "{header}");
    }
    assert!(list("access-control-allow-methods").contains(&"post".to_owned()));
    // An answer of any kind can be read by a script of any origin.
    for (request, status) in [
        (http.with_key(&tenant, &json!({"query": "select 1"})), 200),
        (http.with_key(&tenant, &json!({"query": "selec 1"})), 400),
        (http.sql(&json!({"query": "select 1"})).bearer_auth("tnt_nobody"), 401),
        (http.with_key(&tenant, &json!({"query": "select 1"})).header("X-Tenant-ID", "acme"), 403),
        (http.with_key(&tenant, &json!({"query": "select 1"})).header("Accept", "image/png"), 406),
    ] {
        let response = request.header("Origin", "https://app.example.com").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{status}");
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
        assert!(exposed.contains("neon-request-id") && exposed.contains("retry-after"), "{exposed}");
    }
}

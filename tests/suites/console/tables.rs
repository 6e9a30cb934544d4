//! What is shown, and that PgBouncer's exporters find what they look for.

use super::{STACK, admin, columns, console, row, rows, show, stats, tenant};
use harness::wire::WireClient;
use harness::{eventually, wait_until};
use std::collections::BTreeSet;

/// What prometheus-community/pgbouncer_exporter sends, letter by letter, with the columns that it reads.
const EXPORTER: [(&str, &[&str]); 7] = [
    ("SHOW STATS", &["database"]),
    ("SHOW VERSION;", &["version"]),
    ("SHOW LISTS;", &["list", "items"]),
    ("SHOW CONFIG;", &["key", "value", "default", "changeable"]),
    (
        "SHOW databases;",
        &[
            "name",
            "host",
            "port",
            "database",
            "force_user",
            "pool_size",
            "pool_mode",
            "max_connections",
            "current_connections",
            "paused",
            "disabled",
        ],
    ),
    (
        "SHOW stats_totals;",
        &[
            "database",
            "query_count",
            "query_time",
            "bytes_received",
            "bytes_sent",
            "wait_time",
            "xact_count",
            "xact_time",
            "client_parse_count",
            "server_parse_count",
            "bind_count",
        ],
    ),
    (
        "SHOW pools;",
        &[
            "database",
            "user",
            "cl_active",
            "cl_active_cancel_req",
            "cl_waiting",
            "cl_waiting_cancel_req",
            "sv_active",
            "sv_active_cancel",
            "sv_being_canceled",
            "sv_idle",
            "sv_used",
            "sv_tested",
            "sv_login",
            "maxwait",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_exporters_queries_are_answered() {
    let tenant = tenant("exported", 2).await;
    let _client = tenant.connect().await;
    let mut client = console(&stats()).await;
    for (query, wanted) in EXPORTER {
        let messages = client.query(query).await.expect("an answer");
        let found: BTreeSet<_> = columns(&messages).into_iter().collect();
        for column in wanted {
            assert!(found.contains(*column), "{query} has no {column}");
        }
        assert!(!rows(&messages).is_empty(), "{query} shows nothing");
    }
    // It wants exactly one column here, two there, and numbers that it can read.
    assert_eq!(columns(&client.query("SHOW VERSION;").await.unwrap()), ["version"]);
    for item in show(&mut client, "SHOW LISTS;").await {
        item["items"].as_deref().expect("never NULL").parse::<f64>().expect("a number");
    }
    let limit = row(&mut client, "SHOW CONFIG;", "key", "max_client_conn").await.expect("a setting");
    limit["value"].as_deref().unwrap().parse::<f64>().expect("a number");
}

/// The columns of PgBouncer 1.25, in its order (src/admin.c and src/stats.c).
const PGBOUNCER: [(&str, &str); 9] = [
    (
        "SHOW POOLS",
        "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel \
         sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts",
    ),
    ("SHOW CLIENTS", SOCKETS),
    ("SHOW SERVERS", SOCKETS),
    (
        "SHOW DATABASES",
        "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode \
         load_balance_hosts max_connections current_connections max_client_connections \
         current_client_connections paused disabled",
    ),
    (
        "SHOW STATS",
        "database total_server_assignment_count total_xact_count total_query_count total_received total_sent \
         total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count \
         total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count \
         avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count \
         avg_server_parse_count avg_bind_count avg_client_login_count",
    ),
    (
        "SHOW USERS",
        "name pool_size reserve_pool_size pool_mode max_user_connections current_connections \
         max_user_client_connections current_client_connections",
    ),
    ("SHOW LISTS", "list items"),
    ("SHOW CONFIG", "key value default changeable"),
    ("SHOW MEM", "name size used free memtotal"),
];

const SOCKETS: &str = "type user database replication state addr port local_addr local_port connect_time \
    request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id";

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_columns_come_first_and_in_its_order() {
    let mut client = console(&stats()).await;
    for (query, expected) in PGBOUNCER {
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let found = columns(&client.query(query).await.expect("an answer"));
        assert_eq!(found.get(..expected.len()).unwrap_or_default(), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_at_work_and_its_server_point_to_each_other() {
    let tenant = tenant("linked", 2).await;
    let mut worker = WireClient::login(&tenant.config()).await.expect("let in");
    let pid = {
        worker.query("BEGIN").await.unwrap();
        worker.value("SELECT pg_backend_pid()").await
    };
    let mut client = console(&stats()).await;
    let busy = eventually("the client is seen at work", async || {
        row(&mut client, "SHOW CLIENTS", "database", "linked")
            .await
            .filter(|row| row["state"].as_deref() == Some("active"))
    })
    .await;
    let server = row(&mut client, "SHOW SERVERS", "database", "linked").await.expect("a server");
    assert_eq!(server["remote_pid"].as_deref(), Some(pid.as_str()));
    assert_eq!((&busy["link"], &server["link"]), (&server["ptr"], &busy["ptr"]));
    assert_eq!(server["client_id"], busy["id"]);
    assert_eq!(server["state"].as_deref(), Some("active"));
    let pool = row(&mut client, "SHOW POOLS", "database", "linked").await.expect("a pool");
    assert_eq!((pool["sv_active"].as_deref(), pool["cl_active"].as_deref()), (Some("1"), Some("1")));
    worker.query("COMMIT").await.unwrap();
    wait_until("both are idle again", async || {
        let idle = |row: Option<super::Row>| row.is_some_and(|row| row["state"].as_deref() == Some("idle"));
        idle(row(&mut client, "SHOW CLIENTS", "database", "linked").await)
            && idle(row(&mut client, "SHOW SERVERS", "database", "linked").await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stands_there_as_whom_it_has_proved_to_be() {
    let tenant = tenant("proved", 2).await;
    let named = [("user", "app.proved"), ("database", "proved")];
    let _worker = WireClient::login_as(&tenant.config(), &named).await.expect("let in");
    let mut client = console(&stats()).await;
    let shown = row(&mut client, "SHOW CLIENTS", "database", "proved").await.expect("a client");
    assert_eq!(shown["user"].as_deref(), Some("app"));
    assert!(row(&mut client, "SHOW USERS", "name", "app.proved").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_of_a_pool_is_that_of_its_clients() {
    let tenant = tenant("modes", 4).await;
    let mut client = console(&stats()).await;
    let of_pool = async |client: &mut WireClient| {
        let pool = row(client, "SHOW POOLS", "database", "modes").await.expect("a pool");
        pool["pool_mode"].clone().expect("a mode")
    };
    let session = [("user", "app"), ("database", "modes"), ("pool_mode", "session")];
    let keeps = WireClient::login_as(&tenant.config(), &session).await.expect("let in");
    wait_until("the pool is one of sessions", async || of_pool(&mut client).await == "session").await;
    let shares = WireClient::login(&tenant.config()).await.expect("let in");
    assert_eq!(of_pool(&mut client).await, "mixed");
    drop(keeps);
    wait_until("the session has ended", async || of_pool(&mut client).await == "transaction").await;
    drop(shares);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_listens_for_all_is_nobodys() {
    let tenant = tenant("heard", 2).await;
    let mut ear = WireClient::login(&tenant.config()).await.expect("let in");
    ear.query("listen news").await.expect("an answer");
    let mut client = console(&stats()).await;
    let server = row(&mut client, "SHOW SERVERS", "database", "heard").await.expect("a server");
    let column = |name: &str| server[name].as_deref();
    assert_eq!(
        (column("state"), column("pinned"), column("client_id")),
        (Some("active"), Some("listen"), None)
    );
    let idle = row(&mut client, "SHOW CLIENTS", "database", "heard").await.expect("a client");
    assert_eq!((idle["state"].as_deref(), idle["link"].as_deref()), (Some("idle"), Some("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_counted_and_timed() {
    let tenant = tenant("awaited", 1).await;
    let mut first = WireClient::login(&tenant.config()).await.expect("let in");
    first.query("BEGIN").await.unwrap();
    let mut second = WireClient::login(&tenant.config()).await.expect("let in");
    let waiting = tokio::spawn(async move { second.query("SELECT 1").await });
    let mut client = console(&stats()).await;
    wait_until("its wait is seen", async || {
        let pool = row(&mut client, "SHOW POOLS", "database", "awaited").await.expect("a pool");
        let us = |column: &str| pool[column].as_deref().unwrap().parse::<u64>().unwrap();
        us("cl_waiting") == 1 && us("maxwait") + us("maxwait_us") > 0
    })
    .await;
    first.query("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    wait_until("nobody waits", async || {
        let pool = row(&mut client, "SHOW POOLS", "database", "awaited").await.expect("a pool");
        pool["cl_waiting"].as_deref() == Some("0")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_does_is_counted() {
    let tenant = tenant("counted", 2).await;
    let worker = tenant.connect().await;
    let mut client = console(&stats()).await;
    let stats = async |client: &mut WireClient, column: &str| {
        let row = row(client, "SHOW STATS", "database", "counted").await.expect("a row");
        row[column].as_deref().expect("a number").parse::<u64>().expect("a number")
    };
    let before = stats(&mut client, "total_xact_count").await;
    for _ in 0..10 {
        worker.simple_query("SELECT pg_sleep(0.001)").await.unwrap();
    }
    wait_until("ten transactions are counted", async || {
        stats(&mut client, "total_xact_count").await == before + 10
    })
    .await;
    assert!(stats(&mut client, "total_xact_time").await >= 10_000);
    assert!(stats(&mut client, "total_received").await > 0);
    assert!(stats(&mut client, "total_client_login_count").await >= 1);
    let totals = show(&mut client, "SHOW TOTALS").await;
    assert!(totals.iter().any(|row| row["name"].as_deref() == Some("total_xact_count")));
    assert_eq!(totals.len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_and_the_settings_are_explained_without_secrets() {
    let tenant = tenant("explained", 2).await;
    let mut client = console(&admin()).await;
    let route = show(&mut client, "SHOW ROUTE explained").await;
    let value = |key: &str| {
        route.iter().find(|row| row["key"].as_deref() == Some(key)).and_then(|row| row["value"].clone())
    };
    assert_eq!(value("tenant_id").as_deref(), Some(tenant.id.as_str()));
    assert_eq!(value("placement.cluster.name").as_deref(), Some("eu-1"));
    let mut shown = format!("{route:?}");
    for subject in ["CONFIG", "CLIENTS", "SERVERS", "TENANTS", "DATABASES", "CLUSTERS", "USERS"] {
        shown += &format!("{:?}", show(&mut client, &format!("SHOW {subject}")).await);
    }
    let console_password =
        admin().get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let dsn = STACK.descriptor().catalog_dsn.clone();
    for secret in
        [tenant.password(), tenant.api_key.clone(), console_password.unwrap(), dsn, "SCRAM-SHA-256$".into()]
    {
        assert!(!shown.contains(&secret), "a secret is shown");
    }
    assert!(
        show(&mut client, "SHOW TENANTS")
            .await
            .iter()
            .any(|row| row["tenant"].as_deref() == Some("explained"))
    );
    assert!(
        show(&mut client, "SHOW CLUSTERS").await.iter().any(|row| row["cluster"].as_deref() == Some("eu-1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_whole_while_clients_come_and_go() {
    let tenant = tenant("crowded", 4).await;
    let coming_and_going = (0..200).map(|_| {
        let config = tenant.config();
        tokio::spawn(async move {
            for _ in 0..3 {
                let mut client = WireClient::login(&config).await.expect("let in");
                assert_eq!(client.value("SELECT 7").await, "7");
            }
        })
    });
    let coming_and_going: Vec<_> = coming_and_going.collect();
    let mut client = console(&stats()).await;
    while !coming_and_going.iter().all(tokio::task::JoinHandle::is_finished) {
        for subject in ["CLIENTS", "SERVERS", "POOLS", "STATS", "LISTS", "USERS"] {
            show(&mut client, &format!("SHOW {subject}")).await;
        }
    }
    for task in coming_and_going {
        task.await.expect("every client is served");
    }
    wait_until("all have left the list", async || {
        row(&mut client, "SHOW CLIENTS", "database", "crowded").await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_its_connection_is_shown_with_the_reason() {
    let tenant = tenant("keeping", 2).await;
    let mut keeper = WireClient::login(&tenant.config()).await.expect("let in");
    keeper.query("CREATE TEMPORARY TABLE t (a int)").await.unwrap();
    let mut client = console(&stats()).await;
    wait_until("the reason is shown", async || {
        let server = row(&mut client, "SHOW SERVERS", "database", "keeping").await;
        server.is_some_and(|server| server["pinned"].as_deref() == Some("temporary"))
    })
    .await;
    let server = row(&mut client, "SHOW SERVERS", "database", "keeping").await.expect("a server");
    assert_eq!(server["state"].as_deref(), Some("active"));
}

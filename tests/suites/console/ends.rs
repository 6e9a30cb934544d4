//! KILL, KILL_CLIENT, RECONNECT, WAIT_CLOSE, DISABLE: what ends, and what does not.

use super::{STACK, admin, console, row, run, show, sqlstate, tenant};
use harness::wait_until;
use harness::wire::WireClient;
use pgwire::frontend::write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

async fn pid(client: &mut WireClient) -> String {
    client.value("SELECT pg_backend_pid()").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_tenants_clients_hear_why_and_come_back_after_the_resume() {
    let (tenant, bystander) = (tenant("killed", 3).await, tenant("spared", 2).await);
    let mut idle = WireClient::login(&tenant.config()).await.expect("let in");
    let mut busy = WireClient::login(&tenant.config()).await.expect("let in");
    let mut spared = WireClient::login(&bystander.config()).await.expect("let in");
    spared.query("BEGIN").await.unwrap();
    let mut sleep = Vec::new();
    write::query(&mut sleep, b"SELECT pg_sleep(600)").unwrap();
    busy.send(&sleep).await.unwrap();
    let by_http = tokio::spawn({
        let tenant = tenant.clone();
        async move { STACK.http_query(&tenant, "SELECT pg_sleep(600)", &[]).await.0 }
    });
    let mut client = console(&admin()).await;
    wait_until("both are at work", async || {
        row(&mut client, "SHOW POOLS", "database", "killed").await.unwrap()["sv_active"].as_deref()
            == Some("2")
    })
    .await;
    run(&mut client, "KILL killed").await;
    for victim in [&mut idle, &mut busy] {
        let last = victim.until_end().await.expect("an orderly end");
        assert_eq!(last.last().expect("a reason").sqlstate(), "57P01");
    }
    assert_eq!(by_http.await.unwrap(), 503);
    wait_until("no server is left", async || {
        row(&mut client, "SHOW SERVERS", "database", "killed").await.is_none()
    })
    .await;
    // Newcomers wait, until they are let in.
    let config = tenant.config();
    let newcomer = tokio::spawn(async move {
        let mut client = WireClient::login(&config).await.expect("let in at last");
        client.value("SELECT 8").await
    });
    wait_until("the newcomer waits", async || {
        row(&mut client, "SHOW CLIENTS", "database", "killed")
            .await
            .is_some_and(|row| row["state"].as_deref() == Some("waiting"))
    })
    .await;
    assert!(!newcomer.is_finished());
    run(&mut client, "RESUME killed").await;
    assert_eq!(newcomer.await.unwrap(), "8");
    assert_eq!(spared.value("SELECT 9").await, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_can_be_ended_alone() {
    let tenant = tenant("picked", 2).await;
    let mut chosen = WireClient::login(&tenant.config()).await.expect("let in");
    let mut client = console(&admin()).await;
    let id =
        row(&mut client, "SHOW CLIENTS", "database", "picked").await.expect("a row")["id"].clone().unwrap();
    let mut other = WireClient::login(&tenant.config()).await.expect("let in");
    chosen.query("BEGIN").await.unwrap();
    run(&mut client, &format!("KILL_CLIENT {id}")).await;
    assert_eq!(chosen.until_end().await.unwrap().last().expect("a reason").sqlstate(), "57P01");
    assert_eq!(other.value("SELECT 1").await, "1");
    // It is there until it has closed its end too, or has had the time for that.
    drop(chosen);
    wait_until("it has left", async || row(&mut client, "SHOW CLIENTS", "id", &id).await.is_none()).await;
    assert_eq!(sqlstate(&mut client, &format!("KILL_CLIENT {id}")).await, "42704");
    assert_eq!(sqlstate(&mut client, "KILL_CLIENT x").await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_or_does_not_read_can_be_ended_too() {
    let tenant = tenant("stubborn", 1).await;
    let mut holder = WireClient::login(&tenant.config()).await.expect("let in");
    // Rows without end that nobody reads.
    let mut endless = Vec::new();
    write::query(&mut endless, b"SELECT repeat('x', 1000) FROM generate_series(1, 1000000000)").unwrap();
    holder.send(&endless).await.unwrap();
    let mut waiter = WireClient::login(&tenant.config()).await.expect("let in");
    let mut select = Vec::new();
    write::query(&mut select, b"SELECT 1").unwrap();
    waiter.send(&select).await.unwrap();
    let mut client = console(&admin()).await;
    for state in ["waiting", "active"] {
        let mut id = None;
        wait_until("it is seen", async || {
            let rows = show(&mut client, "SHOW CLIENTS").await;
            let found = rows.iter().find(|row| {
                row["database"].as_deref() == Some("stubborn") && row["state"].as_deref() == Some(state)
            });
            id = found.and_then(|row| row["id"].clone());
            id.is_some()
        })
        .await;
        run(&mut client, &format!("KILL_CLIENT {}", id.expect("seen"))).await;
    }
    assert_eq!(waiter.until_end().await.unwrap().last().expect("a reason").sqlstate(), "57P01");
    wait_until("the other is gone with its server", async || {
        row(&mut client, "SHOW CLIENTS", "database", "stubborn").await.is_none()
            && row(&mut client, "SHOW SERVERS", "database", "stubborn").await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_though_its_server_has_no_room_for_a_goodbye() {
    let tenant = tenant("piled", 1).await;
    let mut busy = WireClient::login(&tenant.config()).await.expect("let in");
    let mut sleep = Vec::new();
    write::query(&mut sleep, b"SELECT pg_sleep(3600)").unwrap();
    busy.send(&sleep).await.unwrap();
    // More than sockets hold, behind what takes for ever.
    let sent = Arc::new(AtomicU64::new(0));
    let piling = tokio::spawn({
        let sent = Arc::clone(&sent);
        async move {
            let mut piece = Vec::new();
            write::query(&mut piece, format!("SELECT 1 --{}", "x".repeat(100_000)).as_bytes()).unwrap();
            while busy.send(&piece).await.is_ok() {
                sent.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let mut before = 0;
    wait_until("nothing more can be sent", async || {
        let now = sent.load(Ordering::SeqCst);
        std::mem::replace(&mut before, now) == now && now > 0
    })
    .await;
    let mut client = console(&admin()).await;
    let id =
        row(&mut client, "SHOW CLIENTS", "database", "piled").await.expect("a row")["id"].clone().unwrap();
    run(&mut client, &format!("KILL_CLIENT {id}")).await;
    let cluster = suites::admin::connect(&STACK, "eu-1").await;
    wait_until("the server has ended it", async || {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)' AND state = 'active'";
        cluster.query_one(query, &[]).await.expect("an answer").get::<_, i64>(0) == 0
    })
    .await;
    piling.await.expect("it is told");
    let mut next = WireClient::login(&tenant.config()).await.expect("let in");
    assert_eq!(next.value("SELECT 2").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnect_replaces_connections_when_they_are_given_back() {
    let tenant = tenant("renewed", 2).await;
    let mut busy = WireClient::login(&tenant.config()).await.expect("let in");
    let before = pid(&mut busy).await;
    busy.query("BEGIN").await.unwrap();
    assert_eq!(pid(&mut busy).await, before);
    let mut client = console(&admin()).await;
    run(&mut client, "RECONNECT renewed").await;
    let server = row(&mut client, "SHOW SERVERS", "database", "renewed").await.expect("the one in use");
    assert_eq!(server["close_needed"].as_deref(), Some("1"));
    // The transaction goes on where it is.
    assert_eq!(pid(&mut busy).await, before);
    let waiting = tokio::spawn(async {
        let mut client = console(&admin()).await;
        run(&mut client, "WAIT_CLOSE renewed").await;
    });
    // A question and its answer later, the wait is still there.
    show(&mut client, "SHOW SERVERS").await;
    assert!(!waiting.is_finished());
    busy.query("COMMIT").await.unwrap();
    waiting.await.expect("the wait ends");
    assert_ne!(pid(&mut busy).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_tenant_takes_no_new_clients_and_keeps_those_it_has() {
    let tenant = tenant("barred", 2).await;
    let mut inside = WireClient::login(&tenant.config()).await.expect("let in");
    let mut client = console(&admin()).await;
    run(&mut client, "DISABLE barred").await;
    let refused = WireClient::login(&tenant.config()).await.err().expect("kept out");
    assert_eq!(refused.sqlstate(), "57P03");
    assert_eq!(inside.value("SELECT 1").await, "1");
    assert_eq!(
        row(&mut client, "SHOW DATABASES", "name", "barred").await.unwrap()["disabled"].as_deref(),
        Some("1")
    );
    run(&mut client, "ENABLE barred").await;
    assert!(WireClient::login(&tenant.config()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_no_tenant() {
    let mut client = console(&admin()).await;
    for verb in ["PAUSE", "KILL", "RECONNECT", "DISABLE", "RESUME", "WAIT_CLOSE"] {
        assert_eq!(sqlstate(&mut client, &format!("{verb} tenantry")).await, "55000", "{verb}");
    }
}

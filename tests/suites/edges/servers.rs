//! Servers that end a session, and networks between the gateway and a cluster that lose things.

use super::{STACK, assert_no_connection_is_lost, error_of, login, run, single};
use harness::wire::{Message, WireClient};
use harness::{Direction, End, Fault, FaultProxy, Tenant, eventually, wait_until};
use pgwire::backend::tag;
use pgwire::frontend::write;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use suites::settled::answer_in_the_end;

async fn send_query(client: &mut WireClient, sql: &str) {
    let mut bytes = Vec::new();
    write::query(&mut bytes, sql.as_bytes()).expect("it fits");
    client.send(&bytes).await.expect("sent");
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_ended_in_its_words() {
    let tenant = single("terminated", "eu").await;
    let mut client = login(&tenant).await;
    send_query(&mut client, "select pg_sleep(3600)").await;
    let labels = ["tenant=\"terminated\"", "state=\"active\""];
    wait_until("it runs", async || STACK.metric("tenantry_pool_connections", &labels).await == 1.0).await;
    assert_eq!(STACK.end_sessions(&tenant).await, 1);
    assert_eq!(error_of(&client.until_end().await.expect("an orderly end")), "57P01");

    let mut client = login(&tenant).await;
    run(&mut client, "begin").await;
    assert_eq!(STACK.end_sessions(&tenant).await, 1);
    assert_eq!(error_of(&client.until_end().await.expect("an orderly end")), "57P01");
    assert_no_connection_is_lost(&tenant).await;
}

#[tokio::test]
async fn a_session_that_ends_while_idle_is_nobodys_loss() {
    let tenant = single("pruned", "eu").await;
    let mut client = login(&tenant).await;
    for round in 0..5 {
        assert_eq!(client.value("select 'served'").await, "served", "round {round}");
        assert_eq!(STACK.end_sessions(&tenant).await, 1);
    }
    assert_eq!(client.value("select 'served'").await, "served");
}

/// A time-out of the server's is an answer like any other.
#[tokio::test]
async fn the_servers_own_timeouts_reach_the_client() {
    let tenant = single("timed", "eu").await;
    let mut client = login(&tenant).await;
    run(&mut client, "begin; set local statement_timeout = 50").await;
    assert_eq!(error_of(&client.query("select pg_sleep(60)").await.expect("an answer")), "57014");
    run(&mut client, "rollback").await;
    run(&mut client, "begin; set local idle_in_transaction_session_timeout = 50").await;
    assert_eq!(error_of(&client.until_end().await.expect("an orderly end")), "25P03");
    assert_no_connection_is_lost(&tenant).await;
}

/// Puts a network of ours between the gateway and a cluster.
async fn proxied(cluster: &str, tenant: &Tenant) -> FaultProxy {
    let known = STACK.descriptor().clusters.iter().find(|known| known.name == cluster).expect("a cluster");
    let target: tokio_postgres::Config = known.admin_dsn.parse().expect("a connection string");
    let proxy = FaultProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, target.get_ports()[0]))).await;
    let port = i32::from(proxy.address().port());
    let set = "update catalog.clusters set port = $1 where name = $2";
    STACK.catalog_admin().await.execute(set, &[&port, &cluster]).await.expect("an administrator may");
    eventually("the gateway goes through the proxy", async || {
        let mut client = WireClient::login(&tenant.config()).await.ok()?;
        client.query("select 1").await.ok()?;
        (proxy.open() > 0).then_some(())
    })
    .await;
    proxy
}

/// The connection is cut after every single byte of a reply, so between any two messages of it too. The
/// client never hears of an end that did not come, and the next one is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_cut_anywhere_is_never_taken_for_a_whole_one() {
    let tenant = single("cut", "us").await;
    let proxy = proxied("us-1", &tenant).await;
    let reply = async |client: &mut WireClient| {
        let before = proxy.passed(Direction::FromTarget);
        assert_eq!(client.value("select 'a reply'").await, "a reply");
        proxy.passed(Direction::FromTarget) - before
    };
    // With a login, and with what the gateway asks of the database once in a while.
    let whole = async || {
        STACK.end_sessions(&tenant).await;
        reply(&mut login(&tenant).await).await
    };
    let mut client = login(&tenant).await;
    reply(&mut client).await;
    let length = reply(&mut client).await;
    let mut first = whole().await;
    assert!(length > 20 && first > length, "{length} of {first}: the login is not counted");
    drop(client);

    for behind in (1..=length).rev() {
        let (end, what) = if behind % 2 == 0 { (End::Close, "closed") } else { (End::Reset, "reset") };
        let is_cut = async |first: u64| {
            STACK.end_sessions(&tenant).await;
            proxy.set(Direction::FromTarget, Fault::After(first - behind, end));
            let before = proxy.passed(Direction::FromTarget);
            let mut client = login(&tenant).await;
            send_query(&mut client, "select 'a reply'").await;
            let heard = until_end_or_ready(&mut client).await;
            let passed = proxy.passed(Direction::FromTarget) - before;
            proxy.set(Direction::FromTarget, Fault::None);
            let has = |tag: u8| heard.iter().any(|message| message.tag == tag);
            let is_whole = has(tag::COMMAND_COMPLETE) && has(tag::READY_FOR_QUERY);
            assert!(!is_whole || passed < first - behind, "{what} {behind} before the end: {heard:?}");
            !has(tag::READY_FOR_QUERY)
        };
        // The gateway may have asked more or less than when that was measured.
        let mut tries = 0;
        while !is_cut(first).await {
            tries += 1;
            assert!(tries < 20, "{what} {behind} before the end: it never was");
            first = whole().await;
        }
    }
    let mut client = login(&tenant).await;
    assert_eq!(client.value("select 'whole'").await, "whole");
    assert_no_connection_is_lost(&tenant).await;
    let out_of_sync = STACK.metric("tenantry_gateway_out_of_sync_total", &[]).await;
    assert!(out_of_sync < 1.0, "a cut is no reply out of turn");
}

/// What is heard up to the end of the connection, or the end of an answer.
async fn until_end_or_ready(client: &mut WireClient) -> Vec<Message> {
    let mut heard = Vec::new();
    loop {
        match client.message().await {
            Ok(message) if message.tag == tag::READY_FOR_QUERY => {
                heard.push(message);
                return heard;
            }
            Ok(message) => heard.push(message),
            Err(error) if error.kind() == ErrorKind::TimedOut => panic!("neither after {heard:?}"),
            Err(_ended) => return heard,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_swallows_everything_is_given_up() {
    let tenant = single("swallowed", "ap").await;
    let proxy = proxied("ap-1", &tenant).await;
    let mut client = login(&tenant).await;
    STACK.end_sessions(&tenant).await;
    for direction in [Direction::ToTarget, Direction::FromTarget] {
        proxy.set(direction, Fault::After(0, End::BlackHole));
        let answer = client.query("select 1").await.expect("an error leaves the client connected");
        assert_eq!(error_of(&answer), "08006", "{direction:?}");
        let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("08006")), "{body:#}");
        proxy.set(direction, Fault::None);
        proxy.end_all(End::Close);
    }
    assert_eq!(answer_in_the_end(&mut client, "select 'there again'").await, "there again");
    assert_no_connection_is_lost(&tenant).await;
}

/// A network that is slow, or delivers in crumbs, changes nothing but the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_loses_nothing() {
    let tenant = single("slow", "sa").await;
    let proxy = proxied("sa-1", &tenant).await;
    STACK.end_sessions(&tenant).await;
    for (to_target, from_target) in [
        (Fault::Slices(1), Fault::Slices(1)),
        (Fault::Slices(3), Fault::Slices(7)),
        (Fault::Latency(Duration::from_millis(10)), Fault::Latency(Duration::from_millis(10))),
    ] {
        proxy.set(Direction::ToTarget, to_target);
        proxy.set(Direction::FromTarget, from_target);
        let client = tenant.connect().await;
        let count = client.query_one("select count(*) from generate_series(1, $1)", &[&7_i32]);
        assert_eq!(count.await.expect("an answer").get::<_, i64>(0), 7);
        let rows = client.query("select n, repeat('x', n) from generate_series(1, 100) n", &[]);
        let rows = rows.await.expect("rows");
        assert!(
            rows.iter()
                .all(|row| row.get::<_, &str>(1).len() == usize::try_from(row.get::<_, i32>(0)).unwrap())
        );
        assert_eq!(rows.len(), 100);
        client.batch_execute("begin; create table if not exists t (n int); rollback").await.expect("served");
        let (status, body) = STACK.http_query(&tenant, "select $1::int + 1 as n", &["41"]).await;
        assert_eq!((status, &body["rows"][0]["n"]), (200, &42.into()), "{body:#}");
    }
    assert_no_connection_is_lost(&tenant).await;
}

//! When the listener is lost, a client does not read, or an operator steps in.

use super::{hear, hears, listeners, listening_process};
use crate::{STACK, login, run, tenant, value};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use tenantry::dev::StackOptions;

#[tokio::test(flavor = "multi_thread")]
async fn who_may_have_missed_something_is_sent_away() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-lost", "few").await;
    let mut ears = [login(&tenant).await, login(&tenant).await];
    for ear in &mut ears {
        run(ear, "listen news").await;
    }
    // One of them is in a transaction, which it may end.
    run(&mut ears[1], "begin").await;
    let mut speaker = login(&tenant).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tenantry listener' \
        and datname = current_database()";
    // The other connection is the transaction's.
    run(&mut ears[1], end).await;
    let said = ears[0].until_end().await.expect("it ends in order");
    assert_eq!(said[0].sqlstate(), "57P01");
    assert_eq!(value(&mut ears[1], "select 1").await, "1");
    run(&mut ears[1], "commit").await;
    assert_eq!(ears[1].until_end().await.expect("it ends in order")[0].sqlstate(), "57P01");
    let mut ear = login(&tenant).await;
    run(&mut ear, "listen news").await;
    run(&mut speaker, "notify news, 'again'").await;
    hears(&mut ear, "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_hurts_only_itself() {
    let stack = Stack::start_with(
        StackOptions::ephemeral().gateway(|gateway| gateway.state.listen_queue_bytes_max = 64 * 1024),
    )
    .await;
    let tenant = crate::tenant(&stack, "notify-flood", "few").await;
    let (mut deaf, mut ear) = (login(&tenant).await, login(&tenant).await);
    run(&mut deaf, "listen news").await;
    run(&mut ear, "listen news").await;
    // It cannot be told within a transaction either.
    run(&mut deaf, "begin").await;
    let mut speaker = ear;
    let payload = "x".repeat(7000);
    for _ in 0..20 {
        let answer = speaker.query(&format!("notify news, '{payload}'")).await.expect("an answer");
        assert!(answer.iter().any(|message| message.tag == b'A'), "who reads hears all of it");
    }
    run(&mut deaf, "commit").await;
    let said = deaf.until_end().await.expect("it ends in order");
    assert_eq!(said.last().expect("it is told").sqlstate(), "54000");
    assert_eq!(value(&mut speaker, "select 1").await, "1");
    let kind = ["tenant=\"notify-flood\"", "kind=\"too_large\""];
    wait_until("it is counted", async || stack.metric("tenantry_errors_total", &kind).await == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off() {
    let stack = Stack::start_with(
        StackOptions::ephemeral().gateway(|gateway| gateway.state.listen_queue_bytes_max = 64 * 1024),
    )
    .await;
    let tenant = crate::tenant(&stack, "notify-deaf", "pair").await;
    let (mut deaf, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut deaf, "listen news").await;
    assert_eq!(listeners(&stack).await, (1.0, 1.0));
    let payload = "x".repeat(7000);
    // Until the sockets' buffers are full, and then the mailbox.
    wait_until("it is cut off", async || {
        let burst = format!("select pg_notify('news', '{payload}' || n) from generate_series(1, 500) n");
        run(&mut speaker, &burst).await;
        listeners(&stack).await.1 == 0.0
    })
    .await;
    assert_eq!(value(&mut speaker, "select 1").await, "1");
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_the_listener_and_tells_its_clients() {
    let stack = Stack::start().await;
    let tenant = crate::tenant(&stack, "notify-paused", "pair").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut ear, "listen news").await;
    let console = console(&stack).await;
    console.batch_execute("pause \"notify-paused\"").await.expect("nothing is in use");
    assert_eq!(ear.until_end().await.expect("it ends in order")[0].sqlstate(), "57P01");
    console.batch_execute("resume \"notify-paused\"").await.expect("it is paused");
    let mut ear = login(&tenant).await;
    run(&mut ear, "listen news").await;
    run(&mut speaker, "notify news, 'again'").await;
    hears(&mut ear, "again").await;
}

async fn console(stack: &Stack) -> tokio_postgres::Client {
    let config: tokio_postgres::Config =
        stack.descriptor().gateway.console.parse().expect("a connection string");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a login");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_to_listen_all_at_once_all_do() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-rush", "pair").await;
    // Each within a transaction, on two connections, before anybody listens.
    let rush = (0..20).map(async |number| {
        let mut ear: WireClient = login(&tenant).await;
        run(&mut ear, "begin").await;
        run(&mut ear, &format!("listen rush; listen r{number}")).await;
        run(&mut ear, "commit").await;
        ear
    });
    let mut ears = futures_util::future::join_all(rush).await;
    let mut speaker = login(&tenant).await;
    run(&mut speaker, "notify rush, 'all'").await;
    for (number, ear) in ears.iter_mut().enumerate() {
        hears(ear, "all").await;
        run(&mut speaker, &format!("notify r{number}, '{number}'")).await;
        assert_eq!(hear(ear).await.channel, format!("r{number}"));
    }
    assert_ne!(listening_process(&mut speaker).await, "0");
    assert_eq!(pids(&tenant).await, "1", "one connection listens for all");
}

async fn pids(tenant: &Tenant) -> String {
    let mut client = login(tenant).await;
    let listening = "select count(*) from pg_stat_activity where application_name = 'tenantry listener' \
        and datname = current_database()";
    value(&mut client, listening).await
}

//! Those who share a listener change something else about their session, or their plan is changed: nobody is told what is
//! another's, twice, or not at all.

use super::{Heard, hear, heard_in, hears, listening_process};
use crate::{STACK, login, run, tenant, value};
use harness::wire::{Message, WireClient};
use harness::{Stack, Tenant, wait_until};
use pgwire::frontend::write;
use suites::plans;

/// Sends several requests at once.
async fn send_all(client: &mut WireClient, texts: &[&str]) {
    let mut out = Vec::new();
    for text in texts {
        write::query(&mut out, text.as_bytes()).expect("it fits");
    }
    client.send(&out).await.expect("sent");
}

/// How the connection of a client ends that may have missed something.
async fn is_sent_away(client: &mut WireClient, says: &str) {
    let said = client.until_end().await.expect("it ends in order");
    let last = said.last().expect("it is told why");
    assert_eq!(last.sqlstate(), "57P01", "{last:?}");
    assert!(last.text().contains(says), "{last:?}");
}

async fn pins(stack: &Stack, slug: &str) -> f64 {
    stack.metric("tenantry_pins_total", &[&format!("tenant=\"{slug}\"")]).await
}

/// Keeps a listener at work, whoever else comes and goes.
async fn another_who_listens(tenant: &Tenant) -> WireClient {
    let mut ear = login(tenant).await;
    run(&mut ear, "listen something_else").await;
    ear
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_had_set_is_not_reported_to_the_next() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-settings", "pair").await;
    let mut ear = login(&tenant).await;
    run(&mut ear, "set timezone = 'Asia/Tokyo'").await;
    run(&mut ear, "listen news").await;
    drop(ear);
    let idle = ["tenant=\"notify-settings\"", "state=\"idle\""];
    wait_until("the listener is back in the pool", async || {
        stack.metric("tenantry_pool_connections", &idle).await == 1.0
    })
    .await;
    // A name of its own, so that it is told what the connection says and not what others were told.
    let (mut next, reported) = login_and_hear(&tenant, "a name of its own").await;
    assert_eq!(reported, value(&mut next, "show timezone").await);
}

/// Logs in, and says which time zone the client was told of.
async fn login_and_hear(tenant: &Tenant, application: &str) -> (WireClient, String) {
    let config = tenant.config();
    let mut client = WireClient::dial(&config).await.expect("somebody listens");
    let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
    let parameters = [("user", user), ("database", database), ("application_name", application)];
    client.startup(&parameters).await.expect("sent");
    client.authenticate(config.get_password().expect("a password")).await.expect("it is right");
    let greeting = client.until_ready().await.expect("a greeting");
    let of_zone = |message: &&Message| message.tag == b'S' && message.body.starts_with(b"TimeZone\0");
    let zone = greeting.iter().find(of_zone).expect("it is reported");
    let mut texts = zone.body.split(|byte| *byte == 0);
    let value = texts.nth(1).expect("a value").to_vec();
    (client, String::from_utf8(value).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_said_on_the_same_connection_is_anothers() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-whose", "pair").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut ear, "listen news").await;
    let waiting = ["tenant=\"notify-whose\""];
    for round in 0..10 {
        run(&mut speaker, &format!("begin; notify news, '{round}'")).await;
        // The other connection listens: it waits for this one.
        send_all(&mut ear, &["select count(*) from generate_series(1, 300000)"]).await;
        wait_until("it waits", async || stack.metric("tenantry_pool_waiting_clients", &waiting).await == 1.0)
            .await;
        run(&mut speaker, "commit").await;
        let answer = ear.until_ready().await.expect("an answer");
        let mut heard: Vec<Heard> =
            answer.iter().filter(|message| message.tag == b'A').map(Heard::of).collect();
        if heard.is_empty() {
            heard.push(hear(&mut ear).await);
        }
        assert_eq!(heard[0].payload, round.to_string());
        assert_ne!(heard[0].process_id, ear.process_id(), "it has said nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_between_listen_and_the_next_request_is_heard() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-pipelined", "few").await;
    let _other = another_who_listens(&tenant).await;
    for round in 0..20 {
        let mut ear = login(&tenant).await;
        let (listen, notify) = (format!("listen c{round}"), format!("notify c{round}, 'own'"));
        send_all(&mut ear, &[&listen, &notify]).await;
        let mut heard = heard_in(&ear.until_ready().await.expect("an answer"));
        heard.extend(heard_in(&ear.until_ready().await.expect("an answer")));
        assert_eq!(heard, ["own"], "{round}");
    }
    assert_eq!(pins(stack, "notify-pipelined").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_behind_a_commit_in_one_text_listens_by_itself() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-behind", "few").await;
    let mut speaker = another_who_listens(&tenant).await;
    for (round, texts) in
        [&["begin; listen news; commit; select 1"][..], &["begin", "listen news", "commit; select 1"]]
            .into_iter()
            .enumerate()
    {
        let mut ear = login(&tenant).await;
        for text in texts {
            run(&mut ear, text).await;
        }
        assert_eq!(pins(stack, "notify-behind").await, 1.0 + f64::from(u8::try_from(round).expect("few")));
        run(&mut speaker, "notify news, 'heard'").await;
        hears(&mut ear, "heard").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_another_encoding_is_told_that_it_hears_no_more() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-encodings", "pair").await;
    for (sql, is_over) in [
        ("begin; set client_encoding = 'LATIN1'; rollback", false),
        ("set client_encoding = 'UTF8'", false),
        ("set client_encoding = 'LATIN1'", true),
        ("begin; set client_encoding = 'LATIN1'; commit", true),
    ] {
        let mut ear = login(&tenant).await;
        run(&mut ear, "listen news").await;
        run(&mut ear, sql).await;
        if is_over {
            is_sent_away(&mut ear, "client_encoding").await;
        } else {
            let answer = ear.query("notify news, 'grün'").await.expect("an answer");
            assert_eq!(heard_in(&answer), ["grün"], "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_connection_of_a_plan_is_for_all() {
    let stack: &Stack = &STACK;
    plans::add(stack, "shrinking", plans::limits(2, 500, 500, 30_000)).await;
    let body = serde_json::json!({ "slug": "notify-shrunk", "region": "eu", "plan": "shrinking" });
    let tenant = stack.create_tenant_with(body).await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut ear, "listen news").await;
    plans::add(stack, "shrinking", plans::limits(1, 500, 500, 30_000)).await;
    is_sent_away(&mut ear, "has ended").await;
    assert_eq!(value(&mut speaker, "select 1").await, "1");
    // And it cannot be shared any more.
    let mut ear = login(&tenant).await;
    let answer = ear.query("listen news; notify news, 'by itself'").await.expect("an answer");
    assert_eq!(heard_in(&answer), ["by itself"]);
    run(&mut ear, "unlisten *").await;
    assert_eq!(listening_process(&mut speaker).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_by_itself_is_not_heard_twice() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-twice", "few").await;
    let (mut ear, mut speaker) = (login(&tenant).await, another_who_listens(&tenant).await);
    run(&mut ear, "listen shared; listen common").await;
    assert_eq!(pins(stack, "notify-twice").await, 0.0);
    // A name that is not read.
    run(&mut ear, "listen \"grün\"").await;
    assert_eq!(pins(stack, "notify-twice").await, 1.0);
    run(&mut ear, "listen common").await;
    for round in 0..5 {
        run(&mut speaker, &format!("notify common, '{round}'")).await;
        hears(&mut ear, &round.to_string()).await;
        run(&mut speaker, "notify \"grün\", 'mark'").await;
        hears(&mut ear, "mark").await;
        run(&mut speaker, "notify shared, 'mark'").await;
        hears(&mut ear, "mark").await;
    }
    run(&mut ear, "unlisten common").await;
    run(&mut speaker, "notify common, 'no more'").await;
    run(&mut speaker, "notify shared, 'still'").await;
    hears(&mut ear, "still").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whom_it_is_not_known_what_it_hears_is_told_so() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-untold", "few").await;
    let many = format!("{}unlisten news", "set application_name = 'x'; ".repeat(300));
    for sql in [&many, "begin; savepoint a; unlisten news; rollback to a; commit"] {
        let mut ear = login(&tenant).await;
        run(&mut ear, "listen news").await;
        run(&mut ear, sql).await;
        is_sent_away(&mut ear, "no longer known").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_to_itself_twice_at_once_hears_both() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-ahead", "few").await;
    let (_other, mut ear) = (another_who_listens(&tenant).await, login(&tenant).await);
    run(&mut ear, "listen news").await;
    for _ in 0..20 {
        send_all(&mut ear, &["notify news, 'one'", "notify news, 'two'"]).await;
        let mut heard = heard_in(&ear.until_ready().await.expect("an answer"));
        heard.extend(heard_in(&ear.until_ready().await.expect("an answer")));
        assert_eq!(heard, ["one", "two"]);
    }
}

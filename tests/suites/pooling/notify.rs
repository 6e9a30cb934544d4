//! LISTEN by clients that keep no connection: they hear what is said in their own database, when it may be heard,
//! in order, once, and are told when they may have missed something.

mod corners;
mod trouble;

use crate::{STACK, login, run, tenant, value};
use harness::wire::{Message, WireClient, tags};
use harness::{Stack, wait_until};
use pgwire::frontend::write;

/// What is heard: who said it, where, and what.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    process_id: [u8; 4],
    channel: String,
    payload: String,
}

impl Heard {
    fn of(message: &Message) -> Self {
        assert_eq!(message.tag, b'A', "{message:?}");
        let process_id = message.body[..4].try_into().expect("four bytes");
        let mut texts = message.body[4..].split(|byte| *byte == 0);
        let mut text = || String::from_utf8(texts.next().expect("a text").to_vec()).expect("text");
        Self { process_id, channel: text(), payload: text() }
    }
}

/// The next thing that a client hears while it says nothing.
async fn hear(client: &mut WireClient) -> Heard {
    Heard::of(&client.message().await.expect("a notification"))
}

async fn hears(client: &mut WireClient, payload: &str) {
    assert_eq!(hear(client).await.payload, payload);
}

/// What an answer brings along.
fn heard_in(messages: &[Message]) -> Vec<String> {
    messages.iter().filter(|message| message.tag == b'A').map(|message| Heard::of(message).payload).collect()
}

async fn listeners(stack: &Stack) -> (f64, f64) {
    (
        stack.metric("tenantry_listen_connections", &[]).await,
        stack.metric("tenantry_listen_clients", &[]).await,
    )
}

async fn nobody_is_pinned(stack: &Stack, slug: &str) {
    let label = format!("tenant=\"{slug}\"");
    assert_eq!(stack.metric("tenantry_pins_total", &[&label]).await, 0.0, "nobody keeps a connection");
}

/// Another session of the tenant's, that of the listener.
async fn listening_process(client: &mut WireClient) -> String {
    let pid = "select coalesce(max(pid), 0) from pg_stat_activity where application_name = 'tenantry listener' \
        and datname = current_database()";
    value(client, pid).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_listen_with_one_connection_and_others_work() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-many", "pair").await;
    let mut ears = Vec::new();
    for number in 0..5 {
        let mut ear = login(&tenant).await;
        let answer = ear.query(&format!("listen news; listen own_{number}")).await.expect("an answer");
        assert_eq!(tags(&answer), "CCZ");
        ears.push(ear);
    }
    let mut speaker = login(&tenant).await;
    run(&mut speaker, "notify news, 'all'; notify own_3, 'one'").await;
    for (number, ear) in ears.iter_mut().enumerate() {
        hears(ear, "all").await;
        if number == 3 {
            hears(ear, "one").await;
        }
        // They work as before, and so do others.
        assert_eq!(value(ear, "select 7").await, "7");
    }
    assert_eq!(value(&mut speaker, "select count(*) from pg_listening_channels()").await, "0");
    nobody_is_pinned(stack, "notify-many").await;
    let told = stack.metric("tenantry_notifications_total", &["tenant=\"notify-many\""]).await;
    assert_eq!(told, 6.0);
    let process = listening_process(&mut speaker).await;
    assert_ne!(process, "0");
    drop(ears);
    wait_until("the listener goes with its last client", async || {
        listening_process(&mut speaker).await == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_takes_effect_with_its_commit_and_not_without() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-commit", "few").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut ear, "begin; listen undone").await;
    run(&mut ear, "rollback").await;
    run(&mut ear, "begin; listen failed").await;
    ear.query("select 1 / 0").await.expect("an answer");
    run(&mut ear, "commit").await;
    run(&mut ear, "begin; listen kept; commit").await;
    run(&mut ear, "begin; listen also_undone; rollback").await;
    run(&mut ear, "begin").await;
    run(&mut ear, "listen late").await;
    run(&mut speaker, "notify late, 'too early'").await;
    run(&mut ear, "commit").await;
    run(&mut speaker, "notify undone; notify failed; notify also_undone").await;
    run(&mut speaker, "begin; notify kept, 'no'; rollback").await;
    run(&mut speaker, "notify kept, 'yes'; notify late, 'in time'").await;
    hears(&mut ear, "yes").await;
    hears(&mut ear, "in time").await;
    nobody_is_pinned(stack, "notify-commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_the_answer_to_listen_is_heard() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-at-once", "pair").await;
    let (mut first, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut first, "listen first").await;
    for round in 0..50 {
        let mut ear = login(&tenant).await;
        run(&mut ear, &format!("listen c{round}")).await;
        run(&mut speaker, &format!("notify c{round}, '{round}'")).await;
        hears(&mut ear, &round.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_to_itself_hears_itself_before_it_is_ready_and_knows_itself() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-self", "pair").await;
    let (mut one, mut two) = (login(&tenant).await, login(&tenant).await);
    for client in [&mut one, &mut two] {
        let own = client.process_id();
        // Along with the first LISTEN of the pool, with one that finds a listener, and later.
        for sql in
            ["begin; listen me; notify me, 'x'; commit", "notify me, 'x'", "select pg_notify('me', 'x')"]
        {
            let answer = client.query(sql).await.expect("an answer");
            let heard: Vec<Heard> =
                answer.iter().filter(|message| message.tag == b'A').map(Heard::of).collect();
            let expected = Heard { process_id: own, channel: "me".into(), payload: "x".into() };
            assert_eq!(heard, [expected], "{sql}: {}", tags(&answer));
            assert!(tags(&answer).ends_with("AZ"), "{sql}: {}", tags(&answer));
        }
        run(client, "unlisten me").await;
    }
    run(&mut one, "listen me").await;
    run(&mut two, "notify me, 'from two'").await;
    let heard = hear(&mut one).await;
    assert_eq!(heard.payload, "from two");
    assert!(![one.process_id(), two.process_id()].contains(&heard.process_id), "another's process");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_heard_within_a_transaction() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-within", "few").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut ear, "listen news").await;
    run(&mut ear, "begin").await;
    for number in 0..3 {
        run(&mut speaker, &format!("notify news, '{number}'")).await;
        assert_eq!(tags(&ear.query("select 1").await.expect("an answer")), "TDCZ");
    }
    // Once the listener has said it, the end of the transaction brings it.
    wait_until("it has come to the gateway", async || {
        stack.metric("tenantry_listen_connections", &[]).await >= 1.0
    })
    .await;
    let mut heard = heard_in(&ear.query("commit").await.expect("an answer"));
    while heard.len() < 3 {
        heard.push(hear(&mut ear).await.payload);
    }
    assert_eq!(heard, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_kept_and_nothing_comes_twice() {
    const COUNT: usize = 300;
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-order", "pair").await;
    let mut ears = Vec::new();
    for _ in 0..3 {
        let mut ear = login(&tenant).await;
        run(&mut ear, "listen numbers").await;
        ears.push(ear);
    }
    let speaking = async {
        let mut speaker = login(&tenant).await;
        for number in 0..COUNT {
            run(&mut speaker, &format!("notify numbers, '{number}'")).await;
        }
    };
    let hearing = ears.into_iter().enumerate().map(async |(index, mut ear)| {
        let mut heard = Vec::new();
        while heard.len() < COUNT {
            // One asks all the time, and hears along with its answers.
            if index == 0 {
                let answer = ear.query("select 1").await.expect("an answer");
                assert_eq!(tags(&answer).replace('A', ""), "TDCZ");
                heard.extend(heard_in(&answer));
            }
            if index > 0 {
                heard.push(hear(&mut ear).await.payload);
            }
        }
        let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
        assert_eq!(heard, expected);
    });
    tokio::join!(speaking, futures_util::future::join_all(hearing));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_no_more_hears_no_more() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-unlisten", "pair").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    for (stop, still) in [
        ("unlisten a", &["b", "\"C\""][..]),
        ("unlisten a; unlisten b", &["\"C\""]),
        ("begin; unlisten *; rollback", &["a", "b", "\"C\""]),
        ("unlisten *", &[]),
        ("discard all", &[]),
        ("begin; unlisten *; listen b; commit", &["b"]),
        ("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;", &[]),
    ] {
        run(&mut ear, "listen a; listen B; listen \"C\"").await;
        run(&mut ear, stop).await;
        run(&mut ear, "listen mark").await;
        run(&mut speaker, "notify a, 'a'; notify b, 'b'; notify \"C\", '\"C\"'; notify mark, 'mark'").await;
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != "mark") {
            heard.push(hear(&mut ear).await.payload);
        }
        heard.pop();
        assert_eq!(heard, still, "{stop}");
        run(&mut ear, "unlisten *").await;
    }
    nobody_is_pinned(stack, "notify-unlisten").await;
    drop(ear);
    wait_until("the listener has gone", async || listening_process(&mut speaker).await == "0").await;
    // Its connection is as good as new.
    for (question, answer) in [
        ("select count(*) from pg_listening_channels()", "0"),
        ("show idle_session_timeout", "0"),
        ("show application_name", ""),
    ] {
        assert_eq!(value(&mut speaker, question).await, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extended_protocol_listens_too() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notify-extended", "pair").await;
    let (mut ear, mut speaker) = (login(&tenant).await, login(&tenant).await);
    for (round, name) in ["", "named", ""].into_iter().enumerate() {
        let mut out = Vec::new();
        write::parse(&mut out, name.as_bytes(), b"listen extended", &[]).expect("it fits");
        write::bind_text(&mut out, b"", name.as_bytes(), &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        ear.send(&out).await.expect("sent");
        assert_eq!(tags(&ear.until_ready().await.expect("an answer")), "12CZ");
        run(&mut speaker, &format!("notify extended, '{round}'")).await;
        hears(&mut ear, &round.to_string()).await;
        run(&mut ear, "unlisten *").await;
    }
    nobody_is_pinned(stack, "notify-extended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_hears_nothing() {
    let stack: &Stack = &STACK;
    let (ours, theirs) =
        (tenant(stack, "notify-ours", "pair").await, tenant(stack, "notify-theirs", "pair").await);
    let (mut our_ear, mut their_ear) = (login(&ours).await, login(&theirs).await);
    run(&mut our_ear, "listen news").await;
    run(&mut their_ear, "listen news").await;
    let (mut us, mut them) = (login(&ours).await, login(&theirs).await);
    for _ in 0..20 {
        run(&mut us, "notify news, 'ours'").await;
        run(&mut them, "notify news, 'theirs'").await;
        hears(&mut our_ear, "ours").await;
        hears(&mut their_ear, "theirs").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listen_that_cannot_be_shared_keeps_its_connection() {
    let stack: &Stack = &STACK;
    for (slug, plan, sql, settings) in [
        ("notify-single", "single", "listen news", ""),
        (
            "notify-savepoint",
            "pair",
            "begin; savepoint a; listen other; rollback to a; listen news; commit",
            "",
        ),
        ("notify-encoding", "pair", "listen news", "set client_encoding = 'LATIN1'"),
        ("notify-temporary", "pair", "create temp table t (a int); listen news", ""),
    ] {
        let tenant = tenant(stack, slug, plan).await;
        let mut ear = login(&tenant).await;
        run(&mut ear, settings).await;
        run(&mut ear, sql).await;
        let answer = ear.query("notify news, 'kept'").await.expect("an answer");
        assert_eq!(heard_in(&answer), ["kept"], "{slug}");
        let own =
            answer.iter().find(|message| message.tag == b'A').map(|message| Heard::of(message).process_id);
        assert_eq!(own, Some(ear.process_id()), "{slug}");
        let label = format!("tenant=\"{slug}\"");
        assert!(stack.metric("tenantry_pins_total", &[&label]).await > 0.0, "{slug}");
        run(&mut ear, "discard all").await;
        assert_eq!(
            value(&mut login(&tenant).await, "select count(*) from pg_listening_channels()").await,
            "0"
        );
    }
}

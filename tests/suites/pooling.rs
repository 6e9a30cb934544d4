//! Server connections are shared, and nobody notices: no client ever gets another's bytes or session.

use harness::wire::{Message, WireClient, tags};
use harness::{DEADLINE, SharedStack, Stack, Tenant, eventually, wait_until};
use pgwire::frontend::{STATEMENT, write};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use suites::{admin, plans};

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// Plans of this file: how many connections, and how long to wait for one, in milliseconds.
const PLANS: [(&str, u32, u32); 3] = [("single", 1, 30_000), ("pair", 2, 30_000), ("hasty", 1, 60)];

async fn tenant(stack: &Stack, slug: &str, plan: &str) -> Tenant {
    let (_, pool_size, checkout_timeout_ms) =
        PLANS[PLANS.iter().position(|(name, ..)| *name == plan).expect("one of ours")];
    plans::add(stack, plan, plans::limits(pool_size, 500, 500, checkout_timeout_ms)).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": plan })).await
}

/// Logs in; a login also needs a connection for a moment, which it may not get in time.
async fn login_in_the_end(tenant: &Tenant) -> WireClient {
    let started = Instant::now();
    loop {
        match WireClient::login(&tenant.config()).await {
            Ok(client) => return client,
            Err(refusal) => assert_eq!(refusal.sqlstate(), "53300", "{refusal:?}"),
        }
        assert!(started.elapsed() < DEADLINE, "no login succeeds");
    }
}

async fn login(tenant: &Tenant) -> WireClient {
    match WireClient::login(&tenant.config()).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn value(client: &mut WireClient, sql: &str) -> String {
    let messages = client.query(sql).await.expect("an answer");
    let row = messages.iter().find(|message| message.tag == b'D');
    row.unwrap_or_else(|| panic!("{sql} gave no row: {messages:?}")).first_column()
}

async fn run(client: &mut WireClient, sql: &str) {
    let messages = client.query(sql).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    assert!(failed.is_none(), "{sql}: {failed:?}");
}

/// A small generator of our own, so that a failure can be run again with its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a request of the storm must be answered with, error or not.
struct Expected {
    nonce: String,
    may_have_no_row: bool,
}

/// Writes one request with a nonce, in one of the ways that drivers send them.
fn write_request(out: &mut Vec<u8>, kind: u64, nonce: &str) -> Expected {
    let sql = format!("select '{nonce}'");
    let bound = Some(nonce.as_bytes());
    let mut may_have_no_row = false;
    match kind {
        0 => write::query(out, sql.as_bytes()).expect("it fits"),
        1 => {
            write::parse(out, b"", b"select $1::text", &[]).expect("it fits");
            write::bind_text(out, b"", b"", &[bound]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::sync(out);
        }
        2 => {
            let name = format!("s_{nonce}");
            write::parse(out, name.as_bytes(), b"select $1::text as named", &[]).expect("it fits");
            write::describe(out, STATEMENT, name.as_bytes()).expect("it fits");
            write::sync(out);
            write::bind_text(out, b"", name.as_bytes(), &[bound]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::close(out, STATEMENT, name.as_bytes()).expect("it fits");
            write::sync(out);
        }
        3 => {
            let failing =
                format!("select '{nonce}'::text where 1 / (length('{nonce}') - length('{nonce}')) = 0");
            write::parse(out, b"", failing.as_bytes(), &[]).expect("it fits");
            write::bind_text(out, b"", b"", &[]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::sync(out);
            may_have_no_row = true;
        }
        4 => {
            let transaction = format!("begin; {sql}; commit");
            write::query(out, transaction.as_bytes()).expect("it fits");
        }
        _ => {
            write::query(out, format!("{sql} from pg_sleep(0.001)").as_bytes()).expect("it fits");
        }
    }
    Expected { nonce: nonce.to_owned(), may_have_no_row }
}

fn readies(kind: u64) -> usize {
    if kind == 2 { 2 } else { 1 }
}

/// Sends pipelines of requests and checks that every row carries this client's nonce of this request.
async fn storm_client(tenant: Arc<Tenant>, id: u64, rounds: u64) -> (u64, u64) {
    let mut dice = Dice(id + 1);
    let (mut answered, mut refused) = (0, 0);
    let mut client = login_in_the_end(&tenant).await;
    for round in 0..rounds {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for request in 0..=dice.roll(4) {
            let kind = dice.roll(6);
            expected.push((write_request(&mut out, kind, &format!("{id}-{round}-{request}")), readies(kind)));
        }
        client.send(&out).await.expect("the gateway reads");
        if dice.roll(40) == 0 {
            // Leaves in the middle of everything; whoever comes next must not notice.
            client = login_in_the_end(&tenant).await;
            continue;
        }
        for (expected, readies) in expected {
            let mut messages = Vec::new();
            for _ in 0..readies {
                messages.extend(client.until_ready().await.expect("every request is answered"));
            }
            for row in messages.iter().filter(|message| message.tag == b'D') {
                assert_eq!(row.first_column(), expected.nonce, "a stranger's row: {}", tags(&messages));
                answered += 1;
            }
            let errors = messages.iter().filter(|message| message.tag == b'E').count();
            let rows = messages.iter().filter(|message| message.tag == b'D').count();
            assert!(rows == 1 || errors > 0, "neither row nor error: {}", tags(&messages));
            assert!(rows <= 1, "{} rows for one request", rows);
            refused += u64::from(rows == 0 && !expected.may_have_no_row);
        }
    }
    (answered, refused)
}

async fn storm(stack: &Stack, slug: &str, plan: &str, clients: u64, rounds: u64) -> (u64, u64) {
    let tenant = Arc::new(tenant(stack, slug, plan).await);
    assert!(
        stack.metrics().await.contains("tenantry_gateway_out_of_sync_total"),
        "the metric has another name"
    );
    let before = stack.metric("tenantry_gateway_out_of_sync_total", &[]).await;
    let tasks: Vec<_> =
        (0..clients).map(|id| tokio::spawn(storm_client(Arc::clone(&tenant), id, rounds))).collect();
    let (mut answered, mut refused) = (0, 0);
    for task in tasks {
        let (rows, refusals) = task.await.expect("no client met a stranger's row");
        answered += rows;
        refused += refusals;
    }
    assert_eq!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await, before, "replies out of sync");
    (answered, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pipelining_clients_share_one_connection_and_meet_no_stranger() {
    let stack: &Stack = &STACK;
    let (answered, _refused) = storm(stack, "storm", "single", 200, 12).await;
    assert!(answered > 3_000, "only {answered} rows came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_under_saturation_never_shift_a_reply() {
    let stack: &Stack = &STACK;
    let (answered, refused) = storm(stack, "hasty-storm", "hasty", 100, 12).await;
    assert!(answered > 0 && refused > 0, "{answered} rows, {refused} refusals: the test did not saturate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_pipeline_is_thrown_away_whole_and_the_client_goes_on() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "thrown", "hasty").await;
    let (mut holder, mut client) = (login(&tenant).await, login(&tenant).await);
    run(&mut holder, "begin").await;
    let mut out = Vec::new();
    for sql in [&b"create table never (a int)"[..], b"select 2"] {
        write::parse(&mut out, b"", sql, &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let refused = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&refused), "EZ");
    assert_eq!(refused[0].sqlstate(), "53300");
    run(&mut holder, "commit").await;
    assert_eq!(value(&mut client, "select to_regclass('never') is null").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_state_never_reaches_another_client() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks", "single").await;
    let mut probe = login(&tenant).await;
    run(&mut probe, "create table kept (a int)").await;
    let leftovers = [
        ("set statement_timeout = '7s'", "show statement_timeout", "0"),
        (
            "select set_config('app.secret', 'x', false)",
            "select coalesce(current_setting('app.secret', true), '')",
            "",
        ),
        ("set search_path = nowhere", "show search_path", "\"$user\", public"),
        ("set session characteristics as transaction read only", "show default_transaction_read_only", "off"),
        ("create temp table leak (a int)", "select to_regclass('leak') is null", "t"),
        ("create temp view leak as select 1", "select to_regclass('leak') is null", "t"),
        ("select 1 as a into temp leak", "select to_regclass('leak') is null", "t"),
        (
            "select pg_advisory_lock(42)",
            "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
            "0",
        ),
        ("listen leaked", "select count(*) from pg_listening_channels()", "0"),
        ("prepare leaked as select 1", "select count(*) from pg_prepared_statements where from_sql", "0"),
        (
            "begin; declare leaked cursor with hold for select 1; commit",
            "select count(*) from pg_cursors",
            "0",
        ),
        (
            "do $$ begin perform set_config('app.hidden', 'x', false); end $$",
            "select coalesce(current_setting('app.hidden', true), '')",
            "",
        ),
        ("set timezone = 'Asia/Tokyo'", "show timezone", "Etc/UTC"),
        ("set application_name = 'leaky'", "show application_name", ""),
        ("begin; set statement_timeout = '7s'; rollback", "show statement_timeout", "0"),
        ("begin; reset all; set timezone = 'Asia/Tokyo'; rollback", "show timezone", "Etc/UTC"),
    ];
    let usual_timezone = value(&mut probe, "show timezone").await;
    for (leave, ask, clean) in leftovers {
        let mut client = login(&tenant).await;
        run(&mut client, leave).await;
        drop(client);
        let clean = if ask == "show timezone" { usual_timezone.as_str() } else { clean };
        assert_eq!(value(&mut probe, ask).await, clean, "after {leave}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_failed_query_took_is_not_left_to_the_next_client() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "failed-locks", "single").await;
    let mut probe = login(&tenant).await;
    let failing =
        ["select pg_advisory_lock(7), 1 / 0", "do $$ begin perform pg_advisory_lock(7); raise 'x'; end $$"];
    for sql in failing {
        let mut client = login(&tenant).await;
        let messages = client.query(sql).await.expect("an answer");
        assert!(tags(&messages).contains('E'), "{}", tags(&messages));
        drop(client);
        let held = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
        assert_eq!(value(&mut probe, held).await, "0", "after {sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_behind_a_discard_is_judged_by_what_is_left() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "discards", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    for _ in 0..2 {
        let mut out = Vec::new();
        write::query(&mut out, b"discard all").expect("it fits");
        write::parse(&mut out, b"s", b"select 'kept'", &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"s", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "CZ");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12DCZ");
        for client in [&mut client, &mut other] {
            let mut out = Vec::new();
            write::parse(&mut out, b"t", b"select 'kept'", &[]).expect("it fits");
            write::bind_text(&mut out, b"", b"t", &[]).expect("it fits");
            write::execute(&mut out, b"", 0).expect("it fits");
            write::close(&mut out, STATEMENT, b"t").expect("it fits");
            write::sync(&mut out);
            client.send(&out).await.expect("the gateway reads");
            assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12DC3Z");
        }
    }
    // In one batch, with nothing to make the server answer but what the gateway sends.
    let mut out = Vec::new();
    for text in [&b"deallocate all"[..], b"select 'after'"] {
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "12C12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_startup_packet_outlive_a_discard() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "startup-settings", "single").await;
    let mut config = tenant.config();
    config.options("-c timezone=Asia/Tokyo -c statement_timeout=7s");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a login");
    tokio::spawn(connection);
    let mut other = login(&tenant).await;
    for reset in ["select 1", "discard all", "reset all", "begin; reset all; rollback"] {
        client.batch_execute(reset).await.expect("an answer");
        assert_eq!(value(&mut other, "show statement_timeout").await, "0", "after {reset}");
        for (setting, expected) in [("timezone", "Asia/Tokyo"), ("statement_timeout", "7s")] {
            let row = client.query_one(&format!("show {setting}"), &[]).await.expect("an answer");
            assert_eq!(row.get::<_, String>(0), expected, "after {reset}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_make_the_gateway_send_without_bound() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "amplifier", "single").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    // A large unnamed statement, forgotten by the server and described again, a thousand times over.
    let text = format!("select '{}'", "x".repeat(1024 * 1024));
    write::parse(&mut out, b"", text.as_bytes(), &[]).expect("it fits");
    write::sync(&mut out);
    for _ in 0..200 {
        write::query(&mut out, b"").expect("it fits");
        write::describe(&mut out, STATEMENT, b"").expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "1Z");
    for _ in 0..200 {
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "IZ");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "tTZ");
    }
    let resident = stack.metric("process_resident_memory_bytes", &[]).await;
    assert!(resident < 600e6, "the process has grown to {resident} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_reports_follows_the_client_to_its_next_connection() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "follows", "single").await;
    let (mut tokyo, mut oslo) = (login(&tenant).await, login(&tenant).await);
    run(&mut tokyo, "set timezone = 'Asia/Tokyo'").await;
    run(&mut oslo, "set timezone = 'Europe/Oslo'; set datestyle = 'german'").await;
    for _ in 0..3 {
        assert_eq!(value(&mut tokyo, "show timezone").await, "Asia/Tokyo");
        assert_eq!(value(&mut oslo, "show timezone").await, "Europe/Oslo");
        assert!(value(&mut tokyo, "show datestyle").await.starts_with("ISO"));
        assert!(value(&mut oslo, "show datestyle").await.starts_with("German"));
    }
    run(&mut oslo, "begin; set timezone = 'UTC'; rollback").await;
    assert_eq!(value(&mut oslo, "show timezone").await, "Europe/Oslo");
    run(&mut tokyo, "reset all").await;
    assert_eq!(value(&mut oslo, "show timezone").await, "Europe/Oslo");
    assert_ne!(value(&mut tokyo, "show timezone").await, "Asia/Tokyo");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_follow_the_client_and_are_told_apart() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "prepared", "pair").await;
    let (mut first, mut second) = (login(&tenant).await, login(&tenant).await);
    for (client, text) in
        [(&mut first, &b"select 'first ' || $1"[..]), (&mut second, b"select 'second ' || $1")]
    {
        let mut out = Vec::new();
        write::parse(&mut out, b"s", text, &[]).expect("it fits");
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "11Z");
    }
    for _ in 0..4 {
        for (client, word) in [(&mut first, "first x"), (&mut second, "second x")] {
            for name in [&b"s"[..], b""] {
                // Alone in its round trip: the statement may be missing where it lands.
                let mut out = Vec::new();
                write::describe(&mut out, STATEMENT, name).expect("it fits");
                write::bind_text(&mut out, b"", name, &[Some(b"x")]).expect("it fits");
                write::execute(&mut out, b"", 0).expect("it fits");
                write::sync(&mut out);
                client.send(&out).await.expect("the gateway reads");
                let messages = client.until_ready().await.expect("an answer");
                assert_eq!(tags(&messages), "tT2DCZ");
                assert_eq!(messages[3].first_column(), word);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_prepared_twice_is_the_servers_error_and_ends_the_transaction() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "twice", "single").await;
    let mut client = login(&tenant).await;
    run(&mut client, "begin").await;
    let mut out = Vec::new();
    for text in [&b"select 1"[..], b"select 2"] {
        write::parse(&mut out, b"twice", text, &[]).expect("it fits");
    }
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let messages = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&messages), "1EZ");
    assert_eq!(messages[1].sqlstate(), "42P05");
    assert_eq!(messages[2].body, b"E", "the transaction has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_unnamed_statement_does_not_take_the_next_one_along() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "superseded", "single").await;
    let mut client = login(&tenant).await;
    let mut out = Vec::new();
    for text in [&b"no sql"[..], b"select 'second'"] {
        write::parse(&mut out, b"", text, &[]).expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("the gateway reads");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "EZ");
    assert_eq!(tags(&client.until_ready().await.expect("an answer")), "1Z");
    out.clear();
    write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::sync(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let messages = client.until_ready().await.expect("an answer");
    assert_eq!(tags(&messages), "2DCZ");
    assert_eq!(messages[1].first_column(), "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_others_cannot_be_reached_by_name() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "unreachable", "single").await;
    let (mut owner, mut thief) = (login(&tenant).await, login(&tenant).await);
    let mut out = Vec::new();
    write::parse(&mut out, b"mine", b"select 'mine'", &[]).expect("it fits");
    write::parse(&mut out, b"", b"select 'unnamed'", &[]).expect("it fits");
    write::sync(&mut out);
    owner.send(&out).await.expect("the gateway reads");
    owner.until_ready().await.expect("an answer");
    let names =
        value(&mut owner, "select coalesce(string_agg(name, ','), '') from pg_prepared_statements").await;
    assert!(names.starts_with("__tenantry_"), "{names}");
    for name in [names.as_bytes(), b"mine", b""] {
        let mut out = Vec::new();
        write::bind_text(&mut out, b"", name, &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        thief.send(&out).await.expect("the gateway reads");
        let messages = thief.until_ready().await.expect("an answer");
        assert_eq!(messages[0].sqlstate(), "26000", "{}", String::from_utf8_lossy(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_client_keeps_its_connection_until_it_discards_its_state() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "pinned", "single").await;
    let (mut pinned, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut pinned, "set statement_timeout = '9s'").await;
    assert_eq!(value(&mut pinned, "show statement_timeout").await, "9s");
    let pins = ["tenant=\"pinned\"", "reason=\"setting\""];
    wait_until("the pin is counted", async || stack.metric("tenantry_pins_total", &pins).await >= 1.0).await;
    run(&mut pinned, "discard all").await;
    assert_eq!(value(&mut other, "show statement_timeout").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_reach_a_listening_client_at_once() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notified", "pair").await;
    let (mut listener, mut speaker) = (login(&tenant).await, login(&tenant).await);
    run(&mut listener, "listen news").await;
    run(&mut speaker, "notify news, 'hello'").await;
    let message = listener.message().await.expect("a notification");
    assert_eq!(message.tag, b'A');
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_running_query_and_no_other() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "cancelled", "single").await;
    let client = tenant.connect().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { (client.batch_execute("select pg_sleep(60)").await, client) });
    let admin = admin::connect(stack, "eu-1").await;
    let running = "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'";
    wait_until("it runs", async || admin.query_opt(running, &[]).await.is_ok_and(|row| row.is_some())).await;
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
    let (outcome, client) = sleeping.await.expect("no panic");
    let code = outcome.expect_err("cancelled").code().cloned();
    assert_eq!(code, Some(tokio_postgres::error::SqlState::QUERY_CANCELED));
    // A cancel for a client that does nothing hits nobody.
    let mut other = login(&tenant).await;
    for _ in 0..20 {
        cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
        assert_eq!(value(&mut other, "select 1").await, "1");
    }
    client.batch_execute("select 1").await.expect("the cancelled client goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_a_client_that_waits_in_the_queue() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "queued", "single").await;
    let mut holder = login(&tenant).await;
    let client = tenant.connect().await;
    run(&mut holder, "begin").await;
    let cancel = client.cancel_token();
    let waiting = tokio::spawn(async move { client.batch_execute("select 1").await });
    let queue = ["tenant=\"queued\""];
    wait_until("it waits", async || stack.metric("tenantry_pool_waiting_clients", &queue).await == 1.0).await;
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("the gateway takes cancels");
    let error = waiting.await.expect("no panic").expect_err("cancelled");
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
    wait_until("the queue is empty", async || {
        stack.metric("tenantry_pool_waiting_clients", &queue).await == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_by_the_extended_protocol_gives_its_connection_back() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "copied", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut client, "create table c (a int)").await;
    for _ in 0..3 {
        let mut out = Vec::new();
        write::parse(&mut out, b"", b"copy c from stdin", &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
        client.send(&out).await.expect("the gateway reads");
        let announced = eventually("copy-in begins", async || {
            let message = client.message().await.ok()?;
            (message.tag == b'G').then_some(message)
        })
        .await;
        assert_eq!(announced.tag, b'G');
        let mut data = b"d\0\0\0\x061\n".to_vec();
        data.extend_from_slice(b"c\0\0\0\x04");
        write::sync(&mut data);
        client.send(&data).await.expect("the gateway reads");
        assert_eq!(tags(&client.until_ready().await.expect("an answer")), "CZ");
        assert_eq!(value(&mut other, "select 'free'").await, "free");
    }
    assert_eq!(value(&mut other, "select count(*) from c").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_goodbye_is_carried_out() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "goodbye", "single").await;
    let (mut client, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut other, "create table g (a int)").await;
    let mut out = Vec::new();
    write::query(&mut out, b"insert into g select 1 from pg_sleep(0.2)").expect("it fits");
    write::terminate(&mut out);
    client.send(&out).await.expect("the gateway reads");
    let answer: Vec<Message> = client.until_ready().await.expect("the answer comes before the end");
    assert_eq!(tags(&answer), "CZ");
    assert_eq!(value(&mut other, "select count(*) from g").await, "1");
}

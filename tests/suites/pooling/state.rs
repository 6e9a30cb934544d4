//! What sessions leave behind: it follows its client or is gone, and is never another's.

use crate::{STACK, login, run, tenant, value};
use harness::wire::tags;
use harness::{Stack, wait_until};

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
            "begin; select set_config('search_path', 'pg_temp', true); create table leak (a int); commit",
            "select to_regclass('pg_temp.leak') is null",
            "t",
        ),
        (
            "begin; select set_config('search_path', 'pg_' || 'temp', true); select 1 as a into leak; commit",
            "select to_regclass('pg_temp.leak') is null",
            "t",
        ),
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
async fn a_pinned_client_keeps_its_connection_until_it_discards_its_state() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "pinned", "single").await;
    let (mut pinned, mut other) = (login(&tenant).await, login(&tenant).await);
    run(&mut pinned, "select set_config('statement' || '_timeout', '9s', false)").await;
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

//! Everything that a client can leave behind in a session, on a pool of one connection: the next client finds
//! the session as a fresh one. The table in `docs/session-state.md` has a row for each group.

use crate::leaks_left::{CODE, LEAVES};
use crate::leaks_observed::{self as observed, Observer};
use crate::{STACK, login, run, tenant};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use pgwire::frontend::write;

/// How the first client goes on after it has left something behind.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It says goodbye, or nothing at all.
    Leaves,
    /// Its next request fails.
    Fails,
    /// It is in a transaction that has failed.
    FailsInTransaction,
    /// It is gone before it has read the answer.
    Vanishes,
}

async fn leave(tenant: &Tenant, sql: &str, end: End) {
    let mut client = login(tenant).await;
    let mut out = Vec::new();
    match end {
        End::Leaves => drop(client.query(sql).await),
        End::Fails => {
            let _ = client.query(sql).await;
            let _ = client.query("select 1 / 0").await;
        }
        End::FailsInTransaction => {
            let _ = client.query("begin").await;
            let _ = client.query(sql).await;
            let _ = client.query("select 1 / 0").await;
        }
        End::Vanishes => {
            write::query(&mut out, sql.as_bytes()).expect("it fits");
            let _ = client.send(&out).await;
        }
    }
}

async fn leave_by_the_extended_protocol(tenant: &Tenant, sql: &str) {
    let mut client = login(tenant).await;
    let mut out = Vec::new();
    for statement in sql.split(';') {
        write::parse(&mut out, b"", statement.as_bytes(), &[]).expect("it fits");
        write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
        write::execute(&mut out, b"", 0).expect("it fits");
        write::sync(&mut out);
    }
    client.send(&out).await.expect("sent");
    for _ in sql.split(';') {
        let _ = client.until_ready().await;
    }
}

async fn prepared(stack: &Stack, slug: &str) -> (Tenant, Observer) {
    let tenant = tenant(stack, slug, "single").await;
    let mut owner = login(&tenant).await;
    run(&mut owner, CODE).await;
    drop(owner);
    let observer = Observer::new(&tenant).await;
    (tenant, observer)
}

async fn hold(slug: &str, end: End) {
    let (tenant, mut observer) = prepared(&STACK, slug).await;
    for sql in LEAVES {
        leave(&tenant, sql, end).await;
        observer.finds_a_fresh_session(&format!("{sql} ({end:?})")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_to_the_next_client() {
    hold("leaks-left", End::Leaves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_an_error() {
    hold("leaks-failed", End::Fails).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_by_a_failed_transaction() {
    hold("leaks-aborted", End::FailsInTransaction).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_by_a_client_that_vanishes() {
    hold("leaks-vanished", End::Vanishes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_by_the_extended_protocol() {
    let (tenant, mut observer) = prepared(&STACK, "leaks-extended").await;
    for sql in LEAVES.iter().filter(|sql| !sql.contains("$$") && !sql.starts_with("copy")) {
        leave_by_the_extended_protocol(&tenant, sql).await;
        observer.finds_a_fresh_session(sql).await;
    }
}

/// Two clients take turns. Says how often the connection was reset on its way between them.
async fn resets_in_turns(stack: &Stack, clients: &mut [WireClient; 2], slug: &str, sql: &[&str]) -> f64 {
    let label = format!("tenant=\"{slug}\"");
    let before = stack.metric("tenantry_handover_resets_total", &[&label]).await;
    for _ in 0..5 {
        for sql in sql {
            for client in &mut *clients {
                run(client, sql).await;
            }
        }
    }
    stack.metric("tenantry_handover_resets_total", &[&label]).await - before
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_reset_only_where_code_may_have_run() {
    let stack: &Stack = &STACK;
    let (slug, tenant) = ("leaks-turns", tenant(stack, "leaks-turns", "single").await);
    let mut clients = [login(&tenant).await, login(&tenant).await];
    run(&mut clients[0], "create table plain (a int)").await;
    let reads = ["select count(*) from plain where a in (1, 2)", "select lower('A')"];
    let writes =
        ["insert into plain values (1)", "update plain set a = 2", "begin; delete from plain; commit"];
    // The server's counters are a moment behind, and the database is asked again when they move.
    for statements in [&reads[..], &writes[..]] {
        wait_until("a database without code needs no resets", async || {
            resets_in_turns(stack, &mut clients, slug, statements).await == 0.0
        })
        .await;
    }
    let sets =
        "create function sets() returns text language sql as $$ select set_config('app.a', 'b', false) $$";
    run(&mut clients[0], sets).await;
    wait_until("reads need none with code either", async || {
        resets_in_turns(stack, &mut clients, slug, &reads).await == 0.0
    })
    .await;
    for statements in [&writes[..], &["select sets()"][..]] {
        assert!(resets_in_turns(stack, &mut clients, slug, statements).await >= 10.0);
    }
}

/// The first client stays, so that what it has must be on a connection of its own or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stays_keeps_what_follows_it_and_the_next_one_sees_none_of_it() {
    let (tenant, mut observer) = prepared(&STACK, "leaks-follow").await;
    let mut client = login(&tenant).await;
    for (sql, ask, expected) in [
        ("set statement_timeout = '7s'", "show statement_timeout", "7s"),
        ("set search_path = \"$user\", nowhere, 'A b'", "show search_path", "\"$user\", nowhere, \"A b\""),
        ("set app.user_id = 'it''s'", "show app.user_id", "it's"),
        ("set extra_float_digits = 3", "show extra_float_digits", "3"),
        ("begin; set lock_timeout = 3000; commit", "show lock_timeout", "3s"),
        ("begin; set lock_timeout = 9; rollback", "show lock_timeout", "3s"),
        ("set lock_timeout = 9; select 1 / 0", "show lock_timeout", "3s"),
        ("select set_config('work_mem', '5MB', false)", "show work_mem", "5MB"),
        (
            "set session characteristics as transaction isolation level serializable",
            "show transaction_isolation",
            "serializable",
        ),
        ("begin; reset all; rollback", "show statement_timeout", "7s"),
        ("reset statement_timeout", "show statement_timeout", "0"),
        ("select 1", "show work_mem", "5MB"),
        ("set work_mem to default", "show work_mem", "4MB"),
        ("reset all", "show lock_timeout", "0"),
    ] {
        let _ = client.query(sql).await.expect("an answer");
        observer.finds_a_fresh_session(sql).await;
        assert_eq!(client.value(ask).await, expected, "after {sql}");
        observer.finds_a_fresh_session(sql).await;
    }
}

/// What it did lasts longer than the setting: the connection stays with its client.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_read_pins_until_all_is_discarded() {
    let tenant = tenant(&STACK, "leaks-unreadable", "hasty").await;
    let mut client = login(&tenant).await;
    let mut observer = Observer::new(&tenant).await;
    for pin in [
        "set search_path = E'pg_temp'; create table t (a int); set search_path = public",
        "set search_path = $$pg_temp$$; create table t (a int)",
        "set schema $$pg_temp$$; create table t (a int)",
        "set \"search_path\" = 'pg_temp'; create table t (a int)",
        "begin; set local search_path = 'pg_temp'; create table t (a int); commit",
        "set \"role\" = 'none'",
    ] {
        run(&mut client, pin).await;
        run(&mut client, "reset all").await;
        assert!(observer.finds_no_connection().await, "{pin}; reset all");
        run(&mut client, "discard all").await;
        observer.finds_a_fresh_session(pin).await;
    }
}

/// They follow nobody, whether they come in one text or in many.
#[tokio::test(flavor = "multi_thread")]
async fn more_changes_than_are_told_apart_pin() {
    let tenant = tenant(&STACK, "leaks-many", "hasty").await;
    let mut client = login(&tenant).await;
    let mut observer = Observer::new(&tenant).await;
    let some = "set app.user_id = '42'; ".repeat(200);
    for texts in [&["begin", &some, &some, "commit"][..], &[&format!("{some}{some}")]] {
        for sql in texts {
            run(&mut client, sql).await;
        }
        assert!(observer.finds_no_connection().await);
        assert_eq!(client.value("show app.user_id").await, "42");
        run(&mut client, "reset all").await;
        observer.finds_a_fresh_session("too many changes").await;
    }
}

async fn pins(client: &mut WireClient, observer: &mut Observer, pin: &str, unpin: &str) {
    run(client, pin).await;
    assert!(observer.finds_no_connection().await, "{pin} pins");
    run(client, unpin).await;
    observer.finds_a_fresh_session(&format!("{pin}; {unpin}")).await;
    run(client, "select 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_ends_when_its_reason_ends() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-unpinned", "hasty").await;
    let mut client = login(&tenant).await;
    let mut observer = Observer::new(&tenant).await;
    for (pin, unpin) in [
        ("listen a", "unlisten *"),
        ("begin; listen a; commit", "begin; unlisten *; commit"),
        ("begin; declare c cursor with hold for select 1; commit", "close all"),
        ("select pg_advisory_lock(1)", "select pg_advisory_unlock_all()"),
        ("set work_mem = E'5MB'", "reset all"),
        ("create temp table t (a int)", "discard temp"),
        ("prepare p as select 1", "deallocate all"),
        ("set role none; select set_config('role', 'none', false)", "reset role"),
        (
            "listen a; select pg_advisory_lock(1)",
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
        ),
        ("create temp table t (a int); listen a; set work_mem = E'5MB'", "discard all"),
    ] {
        pins(&mut client, &mut observer, pin, unpin).await;
    }
    run(&mut client, "begin; listen a").await;
    run(&mut client, "rollback").await;
    observer.finds_a_fresh_session("a rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drivers_send_when_they_connect_pins_nobody() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-drivers", "hasty").await;
    let mut observer = Observer::new(&tenant).await;
    for set_up in [
        // JDBC
        "SET extra_float_digits = 3; SET application_name = 'PostgreSQL JDBC Driver'; \
         SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        // Rails
        "SET client_min_messages TO 'warning'; SET standard_conforming_strings = on; \
         SET intervalstyle = iso_8601; SET SESSION timezone TO 'UTC'; SET search_path TO public; \
         SET statement_timeout = 5000",
        // Django
        "SELECT set_config('TimeZone', 'UTC', false)",
        // pg_dump, and what it writes
        "SET DATESTYLE = ISO; SET INTERVALSTYLE = POSTGRES; SET extra_float_digits TO 3; \
         SET synchronize_seqscans TO off; SET statement_timeout = 0; SET lock_timeout = 0; \
         SET idle_in_transaction_session_timeout = 0; SET row_security = off",
        "SELECT pg_catalog.set_config('search_path', '', false);",
    ] {
        let mut client = login(&tenant).await;
        run(&mut client, set_up).await;
        observer.finds_a_fresh_session(set_up).await;
        run(&mut client, "select 1").await;
    }
    let replayed = stack.metric("tenantry_settings_replayed_total", &["tenant=\"leaks-drivers\""]).await;
    assert!(replayed > 0.0, "settings are set again");
    observed::asserts_nobody_is_pinned(stack, "leaks-drivers").await;
}

//! State that a text hides, or code that is gone by the time anybody looks: the next client sees none of it.

use crate::leaks_observed::Observer;
use crate::{STACK, login, run, tenant};
use harness::Stack;
use harness::wire::{WireClient, tags};
use pgwire::frontend::write;

/// In a database without any code.
const HIDDEN: &[&str] = &[
    // The second part of the string has escapes, too.
    "select E'a'\n'\\'', set_config('app.user_id', '42', false) --'",
    "select E'a' -- b\r '\\'', pg_advisory_lock(42) --'",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_text_hides_what_it_does() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-hidden", "single").await;
    let mut observer = Observer::new(&tenant).await;
    for sql in HIDDEN {
        let mut client = login(&tenant).await;
        run(&mut client, sql).await;
        drop(client);
        observer.finds_a_fresh_session(sql).await;
    }
}

/// The string ends where the backslash escapes a quote, or is half of a character.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_trusted_that_a_roles_defaults_have_read_otherwise() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-defaults", "single").await;
    for (setting, sql) in [
        (
            "standard_conforming_strings = off",
            &br"select '\'', set_config('app.user_id', '42', false) --'"[..],
        ),
        ("client_encoding = 'SJIS'", b"select E'\x95\x5c', set_config('app.user_id', '42', false)"),
    ] {
        let mut client = login(&tenant).await;
        run(&mut client, &format!("alter role current_user set {setting}")).await;
        // The next connection has the new defaults.
        run(&mut client, "do $$ begin end $$").await;
        run_bytes(&mut client, sql).await;
        drop(client);
        let mut next = login(&tenant).await;
        let left = next.value("select coalesce(current_setting('app.user_id', true), '')").await;
        assert_eq!(left, "", "{setting}");
        run(&mut next, "alter role current_user reset all").await;
        run(&mut next, "do $$ begin end $$").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_is_known_by_every_name() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-encodings", "single").await;
    let mut observer = Observer::new(&tenant).await;
    for encoding in ["win932", "Shift-JIS", "sjis", "windows-936", "GB-18030"] {
        let parameters = [("user", "app"), ("database", tenant.slug.as_str()), ("client_encoding", encoding)];
        let logged_in = WireClient::login_as(&tenant.config(), &parameters).await;
        let mut client = logged_in.unwrap_or_else(|refused| panic!("{encoding}: {refused:?}"));
        run_bytes(&mut client, b"select E'\x95\x5c', set_config('app.user_id', '42', false)").await;
        drop(client);
        observer.finds_a_fresh_session(encoding).await;
    }
}

async fn run_bytes(client: &mut WireClient, sql: &[u8]) {
    let mut out = Vec::new();
    write::query(&mut out, sql).expect("it fits");
    client.send(&out).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    assert!(!tags(&answer).contains('E'), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_code_has_left_is_taken_away_though_the_code_is_dropped() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-dropped", "single").await;
    let mut observer = Observer::new(&tenant).await;
    let sets = "create function f() returns text language sql as $$ select set_config('app.user_id', '42', false) $$";
    let locks = "create function f() returns text language sql as $$ select pg_advisory_lock(42)::text $$";
    for make in [sets, locks] {
        let mut client = login(&tenant).await;
        for sql in [make, "select f()", "drop function f"] {
            run(&mut client, sql).await;
        }
        // It asks what there is, and hears that there is nothing.
        for _ in 0..3 {
            run(&mut client, "select 1").await;
        }
        observer.finds_a_fresh_session(make).await;
        run(&mut client, &format!("{make}; select f(); drop function f")).await;
        for _ in 0..3 {
            run(&mut client, "select 1").await;
        }
        observer.finds_a_fresh_session(&format!("{make} and all in one")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_runs_anothers_prepared_statement_unseen() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-named", "single").await;
    let mut observer = Observer::new(&tenant).await;
    let mut owner = login(&tenant).await;
    for text in ["select set_config('app.user_id', '42', false) as named", "listen named"] {
        let mut out = Vec::new();
        write::parse(&mut out, text.as_bytes(), text.as_bytes(), &[]).expect("it fits");
        write::sync(&mut out);
        owner.send(&out).await.expect("sent");
        owner.until_ready().await.expect("prepared");
        let mut client = login(&tenant).await;
        let name = client.value("select name from pg_prepared_statements where statement ~ 'named$'").await;
        run(&mut client, &format!("execute \"{name}\"")).await;
        drop(client);
        observer.finds_a_fresh_session(text).await;
    }
}

/// `DISCARD ALL` does not undo it.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_end_of_a_session_undoes_ends_it() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-indelible", "single").await;
    let seeds = "create function seeds() returns text language sql as $$ select setseed(0.5)::text $$";
    run(&mut login(&tenant).await, seeds).await;
    for (mode, sql, is_extended) in [
        ("session", "select setseed(0.5)", false),
        ("session", "select setseed(0.5)", true),
        ("session", "select seeds()", true),
        ("transaction", "select seeds()", false),
    ] {
        let parameters = [("user", "app"), ("database", tenant.slug.as_str()), ("pool_mode", mode)];
        let mut client = WireClient::login_as(&tenant.config(), &parameters).await.expect("logged in");
        let backend = client.value("select pg_backend_pid()").await;
        let mut out = Vec::new();
        if is_extended {
            write::parse(&mut out, b"", sql.as_bytes(), &[]).expect("it fits");
            write::bind_text(&mut out, b"", b"", &[]).expect("it fits");
            write::execute(&mut out, b"", 0).expect("it fits");
            write::sync(&mut out);
        } else {
            write::query(&mut out, sql.as_bytes()).expect("it fits");
        }
        client.send(&out).await.expect("sent");
        assert!(!tags(&client.until_ready().await.expect("an answer")).contains('E'), "{sql}");
        drop(client);
        let next = login(&tenant).await.value("select pg_backend_pid()").await;
        assert_ne!(next, backend, "{sql} in {mode} mode");
    }
}

/// A function of one row may be named as if it were a column of it, and a view of the settings sets them.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_unnoticed_is_taken_away() {
    let stack: &Stack = &STACK;
    let code = "create table t (a int); insert into t values (1); create function evil(t) returns text language sql as \
        $$ select set_config('app.user_id', '42', false) $$";
    let view = "create view v as select * from pg_settings";
    for (slug, make, sql) in [
        ("leaks-columns", code, "select t.evil from t"),
        ("leaks-views", view, "update v set setting = '77s' where name = 'statement_timeout'"),
    ] {
        let tenant = tenant(stack, slug, "single").await;
        run(&mut login(&tenant).await, make).await;
        let mut observer = Observer::new(&tenant).await;
        let mut client = login(&tenant).await;
        run(&mut client, sql).await;
        observer.finds_a_fresh_session(sql).await;
    }
}

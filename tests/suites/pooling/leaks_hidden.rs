//! State that a text hides, or code that is gone by the time anybody looks: the next client sees none of it.

use crate::leaks_observed::Observer;
use crate::{STACK, login, run, tenant};
use harness::Stack;
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

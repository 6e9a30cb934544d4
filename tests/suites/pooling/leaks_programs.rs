//! Programs made at random: whatever one client does to its session, the next one finds a fresh one.

use crate::leaks_left::CODE;
use crate::leaks_observed::Observer;
use crate::{STACK, login, run, tenant};
use harness::Stack;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::Mutex;

/// What a program is made of. Transactions may be left open, and anything may fail.
const STATEMENTS: &[&str] = &[
    "begin",
    "commit",
    "rollback",
    "savepoint a",
    "rollback to a",
    "release a",
    "select 1 / 0",
    "set statement_timeout = '7s'",
    "set statement_timeout to default",
    "set lock_timeout = 500",
    "set app.user_id = '42'",
    "set search_path = nowhere",
    "set timezone = 'Asia/Tokyo'",
    "set local work_mem = '5MB'",
    "set work_mem = '5MB'; select 1",
    "set work_mem = E'6MB'",
    "select set_config('work_mem', '7MB', false)",
    "select set_config('work_mem', '8MB', false), 1 / 0",
    "reset all",
    "reset work_mem",
    "reset timezone",
    "discard all",
    "discard temp",
    "listen leaked",
    "unlisten *",
    "prepare leaked as select 1",
    "deallocate all",
    "create temp table leak (a int)",
    "drop table if exists leak",
    "declare leaked cursor with hold for select 1",
    "close all",
    "select pg_advisory_lock(1)",
    "select pg_advisory_unlock_all()",
    "select sets()",
    "select locks()",
    "insert into watched values (1)",
    "insert into kept (a) values (1)",
    "begin; set lock_timeout = 7; commit; set app.user_id = '7'; select 1 / 0",
    "begin; set lock_timeout = 8; rollback; set app.user_id = '8'",
    "do $$ begin perform set_config('app.hidden', 'x', false); end $$",
];

/// Programs tried; each takes some tens of milliseconds.
const PROGRAMS: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn no_program_leaves_anything_to_the_next_client() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-programs", "hasty").await;
    let mut owner = login(&tenant).await;
    run(&mut owner, CODE).await;
    drop(owner);
    let observer = Mutex::new(Observer::new(&tenant).await);
    let mut runner =
        TestRunner::new(Config { cases: PROGRAMS, failure_persistence: None, ..Config::default() });
    let programs = proptest::collection::vec(proptest::sample::select(STATEMENTS), 1..9);
    let handle = tokio::runtime::Handle::current();
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&programs, |program| {
            handle.block_on(async {
                let mut observer = observer.lock().await;
                let mut client = login(&tenant).await;
                for sql in &program {
                    let _ = client.query(sql).await;
                }
                if observer.finds_no_connection().await {
                    drop(client);
                    while observer.finds_no_connection().await {}
                }
                let seen = observer.differences().await;
                prop_assert_eq!(seen, Vec::<String>::new());
                Ok(())
            })
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

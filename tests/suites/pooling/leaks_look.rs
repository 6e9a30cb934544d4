//! Only a database that has code of its own is searched for what that could leave behind: to plan the search costs a
//! fresh server process several times what the look at such a database costs.

use crate::{STACK, tenant};
use harness::Stack;
use std::sync::LazyLock;

/// As the gateway puts it together.
static LOOK: LazyLock<String> = LazyLock::new(|| {
    include_str!("../../../gateway/src/relay/handover/look.sql")
        .replace("{count.sql}", include_str!("../../../gateway/src/relay/handover/count.sql"))
        .replace("{write_code.sql}", include_str!("../../../gateway/src/relay/handover/write_code.sql"))
});

/// In place of the search, whose text is the look's parameter: fails if it is run.
const SEARCH: &str = "select (1 / 0)::text as letters";

const TABLES: &str = "create table kept (id serial primary key, a int not null default 1 check (a > 0), \
    b timestamptz default now(), c int generated always as identity, d int references kept, unique (a, b)); \
    create index on kept (lower(a::text)); create type mood as enum ('good', 'bad')";

/// What may run code that does anything, and how to be rid of it.
const SUSPECTS: [(&str, &str); 11] = [
    ("create function f() returns int language sql as 'select 1'", "drop function f()"),
    ("create view v as select set_config('a.b', 'c', false)", "drop view v"),
    ("create view v as select 1", "drop view v"),
    ("create policy p on kept using (true)", "drop policy p on kept"),
    (
        "create operator === (function = int4eq, leftarg = int, rightarg = int)",
        "drop operator === (int, int)",
    ),
    ("create cast (kept as text) with inout", "drop cast (kept as text)"),
    (
        "alter table kept alter a set default set_config('a.b', '1', false)::int",
        "alter table kept alter a set default 1",
    ),
    (
        "alter table kept add constraint c check (pg_try_advisory_lock(a))",
        "alter table kept drop constraint c",
    ),
    ("alter table kept add e text default setseed(0.5)::text", "alter table kept drop e"),
    ("create domain d as text default set_config('a.b', 'c', false)", "drop domain d"),
    (
        "create trigger w before update on kept for each row when (set_config('a.b', 'c', false) is null) \
         execute function suppress_redundant_updates_trigger()",
        "drop trigger w on kept",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_no_code_is_not_searched() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-look", "single").await;
    let owner = stack.inside(&tenant).await;
    assert_eq!(letters(&owner, "").await.as_deref(), Some(""), "an empty one");
    owner.batch_execute(TABLES).await.expect("tables are made");
    assert_eq!(letters(&owner, SEARCH).await.as_deref(), Some("s"), "one with tables and sequences");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_anything_that_may_run_code_is_searched() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "leaks-suspects", "single").await;
    let owner = stack.inside(&tenant).await;
    owner.batch_execute(TABLES).await.expect("tables are made");
    for (make, drop) in SUSPECTS {
        owner.batch_execute(make).await.unwrap_or_else(|error| panic!("{make}: {error:?}"));
        let refused = owner.query_one(&*LOOK, &[&SEARCH]).await.expect_err(make);
        let division = tokio_postgres::error::SqlState::DIVISION_BY_ZERO;
        assert_eq!(refused.code(), Some(&division), "{make}: {refused:?}");
        let found = "select 'dhr'::text as letters";
        assert_eq!(letters(&owner, found).await.as_deref(), Some("dhr"), "{make}");
        owner.batch_execute(drop).await.unwrap_or_else(|error| panic!("{drop}: {error:?}"));
        assert_eq!(letters(&owner, SEARCH).await.as_deref(), Some("s"), "{drop}");
    }
}

async fn letters(inside: &tokio_postgres::Client, search: &str) -> Option<String> {
    inside.query_one(&*LOOK, &[&search]).await.expect("an answer").get(1)
}

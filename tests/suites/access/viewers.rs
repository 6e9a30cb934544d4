//! A viewer reads everything, and leaves nothing behind.

use super::ways::{self, Holder, Way, holder};
use super::{INSUFFICIENT_PRIVILEGE, SCHEMA, STACK, traces};
use harness::Tenant;
use tenancy::{PoolMode, Role};

/// Changes of rows, however they are dressed.
const ROWS: &[&str] = &[
    "insert into t values (9)",
    "update t set n = 9",
    "delete from t",
    "truncate t",
    "merge into t using (select 9 as n) s on t.n = s.n when not matched then insert values (s.n)",
    "insert into v values (9)",
    "update v set n = 9",
    "insert into parted values (1)",
    "insert into part values (1)",
    r#"insert into "Other one"."A table" default values"#,
    "with gone as (delete from t returning n) select * from gone",
    "explain analyze insert into t values (9)",
    "do $$ begin insert into t values (9); end $$",
    "do $$ begin execute 'insert into t values (9)'; end $$",
    "select add(9)",
    "select * from t for update",
    "select * from t for key share",
    "do $$ begin lock table t; end $$",
    "do $$ begin lock table t in row exclusive mode; end $$",
    "refresh materialized view m",
    "insert into tenantry.marker values (gen_random_uuid())",
    "delete from tenantry.marker",
];

/// What holds something without being a table, and everything that is written to beside them.
const BESIDE_ROWS: &[&str] = &[
    "select nextval('counter')",
    "select setval('counter', 9)",
    r#"select nextval('"Other one"."A table_id_seq"')"#,
    "select lo_creat(-1)",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select lo_put(4711, 0, 'x')",
    "select lo_unlink(4711)",
    "select lo_truncate(0, 0)",
    "select lowrite(0, 'x')",
    "select lo_open(4711, 131072)",
    "select lo_get(4711)",
    "select lo_import('/etc/hostname')",
    "select lo_export(4711, '/tmp/x')",
    "select pg_logical_emit_message(true, 'a', 'b')",
    "select pg_logical_emit_message(false, 'a', 'b')",
    "copy t to program 'true'",
    "copy t to '/tmp/tenantry-viewer'",
    "copy t from '/etc/hostname'",
    "select pg_create_physical_replication_slot('a')",
    "select pg_create_restore_point('a')",
    "select pg_stat_reset()",
];

/// New things, temporary ones too.
const NEW: &[&str] = &[
    "create table mine (n int)",
    "create table mine as select * from t",
    "select * into mine from t",
    "create temp table mine (n int)",
    "select * into temp mine from t",
    "create temp sequence mine",
    "create temp view mine as select 1",
    "create function mine() returns int language sql as 'select 1'",
    "create function pg_temp.mine() returns int language sql as 'select 1'",
    "create procedure mine() language sql as ''",
    "create sequence mine",
    "create view mine as select 1",
    "create type mine as (n int)",
    "create type pg_temp.mine as (n int)",
    "create domain mine as int",
    "create schema mine",
    "create collation mine (locale = 'C')",
    "create table tenantry.mine ()",
    "create extension citext",
    "create publication mine for all tables",
    "create event trigger mine on ddl_command_start execute function mine()",
    "create role mine",
    "create statistics mine on n, n from t",
];

/// Changes of what is there.
const CHANGES: &[&str] = &[
    "alter table t add column mine int",
    "alter table t disable trigger all",
    "alter table t enable row level security",
    "drop table t",
    "drop schema public cascade",
    "create index on t (n)",
    "create trigger mine after insert on t for each row execute function suppress_redundant_updates_trigger()",
    "create policy mine on t",
    "create rule mine as on insert to t do nothing",
    "comment on table t is 'mine'",
    "alter type mood add value 'mine'",
    "create or replace function twice(n int) returns int language sql as 'select 3 * n'",
    "drop function twice(int)",
    "reindex table t",
];

/// Other people's rights.
const RIGHTS: &[&str] = &[
    "set role OWNER",
    "set role WRITER",
    "set session authorization OWNER",
    "do $$ begin execute 'set role WRITER'; end $$",
    "select set_config('role', 'WRITER', false)",
    "grant WRITER to current_user",
    "grant OWNER to current_user",
    "grant READER to WRITER",
    "grant pg_write_all_data to current_user",
    "grant pg_read_all_data to current_user",
    "alter role WRITER password 'mine'",
    "alter role OWNER set search_path = mine",
    "alter role current_user createdb",
    "alter role current_user superuser",
    "alter role current_user bypassrls",
    "alter default privileges for role OWNER grant insert on tables to public",
    "alter table t owner to current_user",
    "reassign owned by OWNER to current_user",
    "drop owned by WRITER",
    "comment on role READER is 'mine'",
    "alter system set work_mem = '1MB'",
    "table pg_authid",
    "select rolpassword from pg_authid",
    "select * from pg_user_mapping",
    "select pg_read_file('/etc/hostname')",
    "select pg_ls_dir('.')",
    "select pg_reload_conf()",
];

/// What PostgreSQL answers with a warning or not at all, and does not do.
const IN_VAIN: &[&str] = &[
    "grant insert on t to current_user",
    "grant select on t to WRITER",
    "revoke select on t from WRITER",
    "revoke all on t from OWNER",
    "revoke all on schema public from public",
    "analyze t",
    "alter default privileges grant select on tables to public",
    "select pg_terminate_backend(0)",
    "set default_transaction_read_only = off",
];

async fn tenant_with_viewer(slug: &str) -> (Tenant, Holder) {
    let tenant = STACK.create_tenant(slug, "eu").await;
    tenant.connect().await.batch_execute(SCHEMA).await.expect("an owner may");
    let viewer = holder(&tenant, Role::Viewer).await;
    (tenant, viewer)
}

async fn assert_all_refused(slug: &str, statements: &[&str]) {
    let (tenant, viewer) = tenant_with_viewer(slug).await;
    let [owner, writer, reader] = STACK.roles(&tenant).await;
    let before = traces::of(&tenant).await;
    let mut wrong = Vec::new();
    for statement in statements {
        let statement =
            statement.replace("OWNER", &owner).replace("WRITER", &writer).replace("READER", &reader);
        for way in ways::ALL {
            let outcome = viewer.run(way, &statement).await;
            if outcome.as_ref().err().map(String::as_str) != Some(INSUFFICIENT_PRIVILEGE) {
                wrong.push(format!("{statement}, {way:?}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(traces::of(&tenant).await, before, "something was left behind");
}

#[tokio::test]
async fn changes_no_row() {
    assert_all_refused("viewers-rows", ROWS).await;
}

#[tokio::test]
async fn changes_nothing_that_is_no_row() {
    assert_all_refused("viewers-beside", BESIDE_ROWS).await;
}

#[tokio::test]
async fn makes_nothing() {
    assert_all_refused("viewers-new", NEW).await;
}

#[tokio::test]
async fn changes_nothing_that_was_made() {
    assert_all_refused("viewers-changes", CHANGES).await;
}

#[tokio::test]
async fn gets_nobody_elses_rights() {
    assert_all_refused("viewers-rights", RIGHTS).await;
}

#[tokio::test]
async fn what_is_not_refused_does_nothing() {
    let (tenant, viewer) = tenant_with_viewer("viewers-in-vain").await;
    let [owner, writer, reader] = STACK.roles(&tenant).await;
    let before = traces::of(&tenant).await;
    for statement in IN_VAIN {
        let statement =
            statement.replace("OWNER", &owner).replace("WRITER", &writer).replace("READER", &reader);
        for way in ways::ALL {
            let _whatever = viewer.run(way, &statement).await;
        }
    }
    assert_eq!(traces::of(&tenant).await, before, "something was left behind");
    let refused = viewer.run(Way::Wire(PoolMode::Session), "insert into t values (9)").await;
    assert_eq!(refused, Err(INSUFFICIENT_PRIVILEGE.to_owned()));
}

/// Over the wire only: SQL over HTTP has no COPY.
#[tokio::test]
async fn copies_nothing_in() {
    let (tenant, viewer) = tenant_with_viewer("viewers-copy").await;
    let before = traces::of(&tenant).await;
    for mode in PoolMode::ALL {
        let client = viewer.connect(mode).await;
        let error = client.copy_in::<_, bytes::Bytes>("copy t from stdin").await.err().expect("refused");
        assert_eq!(error.code().map(|code| code.code()), Some(INSUFFICIENT_PRIVILEGE), "{error}");
    }
    assert_eq!(traces::of(&tenant).await, before);
}

#[tokio::test]
async fn reads_all_that_the_owner_has_and_makes() {
    let (tenant, viewer) = tenant_with_viewer("viewers-read").await;
    let later = "create schema later; create table later.t (n int); insert into later.t values (5);
        create view later.v as select n from later.t; create materialized view later.m as table later.t";
    tenant.connect().await.batch_execute(later).await.expect("an owner may");
    for statement in [
        "table t",
        "table v",
        "table m",
        "table parted",
        "table part",
        r#"table "Other one"."A table""#,
        "select last_value from counter",
        "select twice(2)",
        "select 'good'::mood",
        "table later.t",
        "table later.v",
        "table later.m",
        "copy t to stdout",
    ] {
        for way in ways::ALL {
            let is_copy = statement.starts_with("copy");
            if is_copy && matches!(way, Way::Http) {
                continue;
            }
            let outcome =
                if is_copy { copy_out(&viewer, statement).await } else { viewer.run(way, statement).await };
            assert_eq!(outcome, Ok(()), "{statement}, {way:?}");
        }
    }
    assert_eq!(viewer.value("select n from later.t").await, "5");
}

async fn copy_out(viewer: &Holder, statement: &str) -> Result<(), String> {
    let client = viewer.connect(PoolMode::Transaction).await;
    client.copy_out(statement).await.map(drop).map_err(|error| error.to_string())
}

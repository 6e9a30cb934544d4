use super::*;

#[track_caller]
fn check(expected: Effects, statements: &[&str]) {
    for sql in statements {
        assert_eq!(of_sql(sql.as_bytes()).staying(), expected, "{sql}");
    }
}

#[test]
fn most_statements_leave_nothing() {
    check(
        Effects::NONE,
        &[
            "",
            "select 1",
            "insert into t values ('set x = 1')",
            "update t set a = 1",
            "begin; commit",
            "prepare transaction 'x'",
            "declare c cursor for select 1",
            "create table t (temp int)",
            "select pg_advisory_xact_lock(1), pg_advisory_unlock_all()",
            "fetch all in c",
            "unlisten *",
        ],
    );
}

#[test]
fn settings_that_end_with_the_transaction_or_are_reported_leave_nothing() {
    check(
        Effects::NONE,
        &[
            "SET LOCAL statement_timeout = 1",
            "set transaction isolation level serializable",
            "set constraints all deferred",
            "set timezone to 'UTC'",
            "SET TIME ZONE 'UTC'",
            "set session datestyle = iso",
            "set names 'utf8'",
            "set application_name = 'x'",
            "set standard_conforming_strings = on",
            "reset timezone",
            "select set_config('TimeZone', $1, false)",
            "select set_config('a.b', 'c', true)",
            "select set_config($1, lower('X, false'), TRUE)",
        ],
    );
}

#[test]
fn a_transaction_that_may_only_read_by_its_own_wish_is_told() {
    for sql in [
        "begin read only",
        "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY",
        "start transaction isolation level repeatable read read only deferrable",
        "set transaction read only",
        "begin; set transaction read only; select 1",
    ] {
        assert!(of_sql(sql.as_bytes()).any_of(Effects::ONLY_READS), "{sql}");
        assert!(of_sql(sql.as_bytes()).staying().is_none(), "{sql}");
    }
    for sql in [
        "begin",
        "begin read write",
        "begin isolation level read committed",
        "set transaction isolation level read committed",
        "set session characteristics as transaction read only",
        "begin; select read only",
    ] {
        assert!(!of_sql(sql.as_bytes()).any_of(Effects::ONLY_READS), "{sql}");
    }
}

#[test]
fn settings_in_plain_literals_follow() {
    check(
        Effects::FOLLOWS,
        &[
            "set default_transaction_read_only = on",
            "reset default_transaction_read_only",
            "select set_config('default_transaction_read_only', 'on', false)",
            "set statement_timeout = 1",
            "SET SESSION statement_timeout TO '1s'",
            "set session characteristics as transaction read only",
            "set search_path = a, b",
            "/* c */ set x = 1 -- y",
            "select 1; set a.b = 'c'",
            "reset statement_timeout",
            "select set_config('a.b', 'c', false)",
        ],
    );
    check(Effects::FOLLOWS | Effects::RESET_ALL, &["reset all", "select 1; RESET ALL;"]);
}

#[test]
fn other_settings_stay() {
    check(
        Effects::SETTING,
        &[
            "set x = E'1'",
            "set temp_buffers = 100",
            "select 1, set_config('a.b', 'c', false)",
            "select 1; select set_config('a.b', 'c', false)",
            "select \"set_config\"('a.b', 'true', $1)",
            "with x as (select set_config('a.b', 'c', false)) select 1",
            "explain analyze select set_config('a.b', 'c', false)",
            "execute p; select set_config('a.b', 'true', lower('x') = 'x' or true)",
        ],
    );
    check(
        Effects::SETTING | Effects::UNKNOWN_SETTING,
        &[
            "select set_config($1, $2, false)",
            "select set_config('a' 'b', 'c', false)",
            "update pg_settings set setting = '1s' where name = 'statement_timeout'",
            "with x as (update pg_catalog.\"pg_settings\" set setting = 1 returning 1) select 1",
        ],
    );
    check(Effects::SEARCH_PATH, &["select set_config('search_path', $1, false)"]);
    check(Effects::ROLE, &["set role bob", "set session role 'bob'", "select set_config('role', $1, false)"]);
    check(Effects::AUTHORIZATION, &["set session authorization bob", "set session_authorization = 'bob'"]);
    check(
        Effects::SETTING | Effects::UNKNOWN,
        &["set standard_conforming_strings = off", "set local standard_conforming_strings = off"],
    );
}

#[test]
fn quotes_make_no_key_words_and_hide_no_names() {
    check(Effects::NONE, &["select \"listen\" from \"set\"", "\"listen\" x", "select 1 as \"temp\""]);
    check(Effects::ADVISORY_LOCK, &["select \"pg_advisory_lock\"(1)"]);
    check(Effects::UNKNOWN, &["select U&\"pg\\005fadvisory_lock\"(1)", "U&\"x\""]);
    check(Effects::TEMPORARY, &["create table \"pg_temp\".t (a int)", "create table pg_temp_3.t (a int)"]);
}

#[test]
fn what_is_undone_is_noted_when_it_stands_alone() {
    let undone = |sql: &str| of_sql(sql.as_bytes()).undone();
    for (sql, expected) in [
        ("unlisten *", Effects::LISTEN),
        ("unlisten a", Effects::NONE),
        ("close all", Effects::HOLD_CURSOR),
        ("close a", Effects::NONE),
        ("deallocate all", Effects::PREPARE),
        ("deallocate prepare all", Effects::PREPARE),
        ("discard temp", Effects::TEMPORARY),
        ("discard all", Effects::DISCARDED),
        ("discard plans", Effects::NONE),
        ("reset role", Effects::ROLE),
        ("set role none", Effects::ROLE),
        ("reset session authorization", Effects::ROLE | Effects::AUTHORIZATION),
        ("select pg_advisory_unlock_all()", Effects::ADVISORY_LOCK),
        ("select pg_catalog.pg_advisory_unlock_all();", Effects::ADVISORY_LOCK),
        ("select pg_advisory_unlock_all() where false", Effects::NONE),
        ("select pg_advisory_unlock_all(), pg_advisory_lock(1)", Effects::NONE),
        ("unlisten *; listen a", Effects::NONE),
        (
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
            Effects::ADVISORY_LOCK | Effects::HOLD_CURSOR | Effects::LISTEN | Effects::SETTING,
        ),
    ] {
        assert_eq!(undone(sql), expected, "{sql}");
    }
}

#[test]
fn code_that_no_text_shows_is_suspected_where_it_may_run() {
    let of = |sql: &str| of_sql(sql.as_bytes());
    for sql in ["select a, count(*), lower(b) from t where a in (1, 2)", "begin", "show x", "values (1)"] {
        assert!(of(sql).is_none(), "{sql}");
    }
    assert!(of("select audit(1)").any_of(Effects::CALLS));
    assert!(of("select \"Audit\" (1)").any_of(Effects::CALLS));
    assert!(of("call audit()").any_of(Effects::CALLS));
    for sql in ["insert into t values (1)", "with x as (delete from t) select 1", "update t set a = 1"] {
        assert!(of(sql).any_of(Effects::WRITES), "{sql}");
    }
    for sql in
        ["insert into t values (1)", "select nextval('s')", "update t set a = default", "copy t from stdin"]
    {
        assert!(of(sql).any_of(Effects::DRAWS), "{sql}");
    }
    for sql in ["create function f() returns int", "alter table t add a int", "do $$ begin end $$"] {
        assert!(of(sql).any_of(Effects::DEFINES), "{sql}");
    }
}

#[test]
fn a_statement_of_another_clients_may_do_anything() {
    check(
        Effects::UNKNOWN,
        &[
            "execute __tenantry_1",
            "EXECUTE \"__tenantry_12\"('a', 'b')",
            "explain analyze execute __TENANTRY_1",
            "create table t as execute \"__tenantry_18446744073709551615\"",
        ],
    );
    check(Effects::NONE, &["execute tenantry_1", "select __x from \"__tenant\""]);
}

#[test]
fn functions_in_languages_with_a_memory_are_not_trusted() {
    check(
        Effects::UNKNOWN,
        &[
            "create function f() returns int language plperl as $$ $_SHARED{a} = 1 $$",
            "create or replace function f() returns int as $$ $$ language \"plpython3u\"",
            "create procedure p() as $$ $$ language 'pltcl'",
        ],
    );
    check(
        Effects::NONE,
        &[
            "create function f() returns int language plpgsql as $$ begin end $$",
            "create function f() returns int as $$ select 1 $$ language 'SQL'",
            "create view v as select language from t",
            "create trigger t before insert on a execute function f()",
        ],
    );
}

#[test]
fn objects_of_the_session_stay() {
    check(Effects::SUBSCRIBES | Effects::FOLLOWS, &["listen c", "begin; LISTEN \"C\"; commit"]);
    check(Effects::LISTEN, &["listen grün", "listen a.b", "listen"]);
    check(Effects::PREPARE, &["prepare p as select 1", "prepare p (int) as select $1"]);
    check(
        Effects::TEMPORARY,
        &[
            "create temp table t (a int)",
            "create temporary sequence s",
            "create or replace temp view v as select 1",
            "create local temporary table t (a int)",
            "select 1 as a into temp t",
            "select 1 as a into local temporary t",
            "create table pg_temp.t (a int)",
            "explain analyze create temp table t as select 1",
            "create temp table t (a int) on commit delete rows",
            "create temp table t (a int) on commit drop; create temp table u (a int)",
        ],
    );
    check(
        Effects::NONE,
        &["create temp table t (a int) on commit drop", "create temp table t on commit drop as select 1"],
    );
    check(Effects::HOLD_CURSOR, &["declare c cursor with hold for select 1"]);
    check(Effects::DISCARD, &["discard all", "DEALLOCATE ALL", "deallocate s"]);
    check(
        Effects::ADVISORY_LOCK,
        &[
            "select pg_advisory_lock(1)",
            "select pg_catalog.pg_try_advisory_lock(1, 2)",
            "declare c cursor for select pg_advisory_lock(1)",
            "select set_config('a.b', pg_advisory_lock(1)::text, true)",
        ],
    );
    check(Effects::LIBRARY, &["load 'auto_explain'"]);
    check(
        Effects::UNKNOWN,
        &[
            "do $$ begin perform 1; end $$",
            "select setseed(0.5)",
            "set seed to 0.5",
            "select query_to_xml('select set_config(''a.b'', ''c'', false)', true, true, '')",
        ],
    );
}

#[test]
fn effects_of_several_statements_add_up() {
    check(Effects::FOLLOWS | Effects::SUBSCRIBES, &["set a.b = 1; listen c; select 1"]);
}

#[test]
fn who_may_be_notified_and_where_tables_may_be_made_is_noted() {
    let of = |sql: &str| of_sql(sql.as_bytes());
    for sql in ["notify a", "NOTIFY a, 'b'", "select pg_notify('a', 'b')", "select 1; notify a"] {
        assert!(of(sql).any_of(Effects::NOTIFIES), "{sql}");
    }
    assert!(!of("select 'notify a'").any_of(Effects::NOTIFIES));
    for sql in [
        "select set_config('search_path', 'pg_temp', true)",
        "select set_config('search_path', $1, true)",
        "select set_config($1, $2, true)",
        "select set_config('search_path', 'a, ' || 'PG_TEMP', true)",
    ] {
        assert!(of(sql).any_of(Effects::LOCAL_PATH), "{sql}");
        check(Effects::NONE, &[sql]);
    }
    for sql in ["select set_config('search_path', 'a, b', true)", "select set_config('a.b', $1, true)"] {
        assert!(!of(sql).any_of(Effects::LOCAL_PATH), "{sql}");
    }
}

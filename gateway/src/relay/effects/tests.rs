use super::*;

#[track_caller]
fn check(expected: Effects, statements: &[&str]) {
    for sql in statements {
        assert_eq!(of_sql(sql.as_bytes()), expected, "{sql}");
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
            "select set_config('a.b', 'c', true)",
            "select set_config($1, lower('X, false'), TRUE)",
        ],
    );
}

#[test]
fn other_settings_stay() {
    check(
        Effects::SETTING,
        &[
            "set statement_timeout = 1",
            "SET SESSION statement_timeout TO '1s'",
            "set session characteristics as transaction read only",
            "set session authorization bob",
            "set role bob",
            "set search_path = a, b",
            "set standard_conforming_strings = off",
            "set local standard_conforming_strings = off",
            "update pg_settings set setting = '1s' where name = 'statement_timeout'",
            "reset statement_timeout",
            "select 1; set a.b = 'c'",
            "select set_config('a.b', 'c', false)",
            "select set_config('a.b', 'true', $1)",
            "/* c */ set x = 1 -- y",
        ],
    );
}

#[test]
fn objects_of_the_session_stay() {
    check(Effects::LISTEN, &["listen c", "begin; LISTEN c; commit"]);
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
        ],
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
    check(Effects::RESET_ALL, &["reset all", "select 1; RESET ALL;"]);
    check(Effects::LIBRARY, &["load 'auto_explain'"]);
    check(Effects::UNKNOWN, &["do $$ begin perform 1; end $$"]);
}

#[test]
fn effects_of_several_statements_add_up() {
    check(Effects::SETTING | Effects::LISTEN, &["set a.b = 1; listen c; select 1"]);
}

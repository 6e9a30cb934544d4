use super::*;

fn set(name: &str, value: &str) -> Change {
    Change::Set([(name.into(), value.into())].into())
}

fn called(name: &str, value: &str) -> Change {
    Change::Called([(name.into(), value.into())].into())
}

#[track_caller]
fn check(sql: &str, expected: &[Change]) {
    assert_eq!(of_sql(sql.as_bytes()), expected, "{sql}");
}

#[test]
fn a_plain_literal_is_read_to_what_postgresql_makes_of_it() {
    check("set statement_timeout = 5000", &[set("statement_timeout", "5000")]);
    check("SET SESSION Statement_Timeout TO '5s';", &[set("statement_timeout", "5s")]);
    check("set extra_float_digits = -1", &[set("extra_float_digits", "-1")]);
    check("set random_page_cost to 1.5", &[set("random_page_cost", "1.5")]);
    check("set row_security = OFF", &[set("row_security", "off")]);
    check("set app.user_id = 'it''s'", &[set("app.user_id", "it's")]);
    check("set search_path = \"$user\", public, 'Aa'", &[set("search_path", "\"$user\", public, \"Aa\"")]);
    check("set search_path to ''", &[set("search_path", "\"\"")]);
    check("set schema 'x'", &[set("search_path", "x")]);
    check("set x to default", &[Change::Reset("x".into())]);
    check("reset x", &[Change::Reset("x".into())]);
    check("reset all", &[Change::ResetAll]);
    check("select set_config('a.b', 'c', false)", &[called("a.b", "c")]);
    check("SELECT pg_catalog.set_config('search_path', '', false);", &[called("search_path", "")]);
}

#[test]
fn session_characteristics_are_defaults() {
    let both: Change = Change::Set(
        [
            ("default_transaction_isolation".into(), "repeatable read".into()),
            ("default_transaction_read_only".into(), "on".into()),
        ]
        .into(),
    );
    for separator in [", ", " "] {
        check(
            &format!(
                "set session characteristics as transaction isolation level repeatable read{separator}read only"
            ),
            std::slice::from_ref(&both),
        );
    }
}

#[test]
fn what_cannot_be_set_again_alike_does_not_follow() {
    for sql in [
        "set x from current",
        "set x = E'a'",
        "set x = $1",
        "set x = 'a', 'b'",
        "set x = 'ä'",
        "set temp_buffers = 100",
        "set role bob",
        "set session authorization bob",
        "set local x = 1",
        "set transaction isolation level serializable",
        "set timezone = 'UTC'",
        "set search_path = pg_temp",
        "set seed = 0.5",
        "set x = 'a' 'b'",
    ] {
        check(sql, &[Change::Nothing]);
    }
}

/// `RESET ALL` puts the path back, and not the role, nor what was made by the path.
#[test]
fn a_name_or_path_that_cannot_be_read_may_lead_to_temporary_objects() {
    for sql in [
        "search_path = E'pg_temp'",
        "search_path = $$pg_temp$$",
        "search_path = U&'pg_temp'",
        "search_path = 'a', E'pg_temp'",
        "SEARCH_PATH to pg_temp",
        "schema E'pg_temp'",
        "schema $$pg_temp$$",
        "schema 'pg_temp'",
        "\"search_path\" = pg_temp",
        "\"role\" = 'bob'",
        "U&\"role\" = 'bob'",
    ] {
        for scope in ["", "session ", "local "] {
            let text = format!("{scope}{sql}");
            let form = read_set(&mut Lexer::new(text.as_bytes()).peekable());
            assert_eq!(form, SetForm::SearchPath, "{text}");
        }
    }
    for (text, expected) in [
        ("local search_path = a", SetForm::EndsWithTransaction),
        ("local seed = 0.5", SetForm::Seed),
        ("\"seed\" = 0.5", SetForm::Seed),
        ("x = E'a'", SetForm::Other),
    ] {
        assert_eq!(read_set(&mut Lexer::new(text.as_bytes()).peekable()), expected, "{text}");
    }
}

#[test]
fn there_is_one_change_for_each_answer() {
    check(
        "begin; set a.b = 1; select 1; set local c.d = 2; reset e.f",
        &[set("a.b", "1"), Change::Nothing, Change::Reset("e.f".into())],
    );
    check("select 1; select set_config('a.b', 'c', false)", &[]);
    check("select set_config('a.b', 'c', false), 1", &[]);
    check("select set_config('a.b', 'c', false); select 1", &[]);
    check("select set_config('role', 'c', false)", &[]);
    check("select set_config('TimeZone', 'UTC', false)", &[]);
    check("begin; set constraints all deferred; set a.b = 1", &[set("a.b", "1")]);
    check("update t set a = 1", &[]);
}

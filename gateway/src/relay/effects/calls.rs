//! Functions by what they leave behind in the session.

use super::{Effects, LONGEST_WORD, Tokens, is, lower, next_is, next_is_symbol};
use crate::relay::prepared::NAME_PREFIX;
use crate::relay::sql_lexer::Token;
use std::sync::LazyLock;

/// What mentioning this name may leave behind. It counts wherever it stands: in a list of columns it does
/// nothing, but it costs less to think that it does than to tell the two apart.
pub(super) fn of_name(name: &[u8], tokens: &mut Tokens<'_>) -> Effects {
    if is_ours(name) {
        // Whoever names it found it on the server. What it does is another client's text.
        return Effects::UNKNOWN;
    }
    if !next_is_symbol(tokens, b'(') {
        // A function is called by nothing but its name and a bracket.
        let is_temporary = name.get(..TEMPORARY_SCHEMA.len()).is_some_and(|head| is(head, TEMPORARY_SCHEMA));
        return if is_temporary { Effects::TEMPORARY } else { Effects::NONE };
    }
    let mut room = [0; LONGEST_WORD];
    let known = lower(name, &mut room);
    match known {
        b"set_config" => of_set_config(tokens.clone()),
        b"pg_advisory_lock"
        | b"pg_advisory_lock_shared"
        | b"pg_try_advisory_lock"
        | b"pg_try_advisory_lock_shared" => Effects::ADVISORY_LOCK,
        b"nextval" | b"setval" => Effects::DRAWS,
        b"pg_notify" => Effects::NOTIFIES | Effects::CALLS,
        _ if cannot_be_undone(known) => Effects::UNKNOWN,
        _ if !leaves_nothing(known) => Effects::CALLS,
        _ => Effects::NONE,
    }
}

/// How the names of schemas of temporary objects begin.
pub(super) const TEMPORARY_SCHEMA: &str = "pg_temp";

/// Functions that run SQL given to them as text, or keep what nothing but the session's end undoes.
const CANNOT_BE_UNDONE: &[&str] = &[
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "dblink_connect",
    "dblink_connect_u",
    "dblink_open",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_replication_origin_session_setup",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "setseed",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// Is it the name of a prepared statement of ours?
fn is_ours(name: &[u8]) -> bool {
    name.get(..NAME_PREFIX.len()).is_some_and(|prefix| is(prefix, NAME_PREFIX))
}

fn cannot_be_undone(name: &[u8]) -> bool {
    is_among(CANNOT_BE_UNDONE, name)
}

/// Does the statement behind SELECT do nothing but `pg_advisory_unlock_all()`?
pub(super) fn unlocks_all(mut tokens: Tokens<'_>) -> bool {
    if next_is(&mut tokens, "pg_catalog") {
        tokens.next();
        tokens.next_if_eq(&Token::Symbol(b'.'));
    }
    let call = [Token::Word(b"pg_advisory_unlock_all"), Token::Symbol(b'('), Token::Symbol(b')')];
    let same = |token: Token<'_>, expected: &Token<'_>| match (token, expected) {
        (Token::Word(word), Token::Word(expected)) => word.eq_ignore_ascii_case(expected),
        (token, expected) => token == *expected,
    };
    call.iter().all(|expected| tokens.next().is_some_and(|token| same(token, expected)))
        && matches!(tokens.peek(), None | Some(Token::End))
}

/// `set_config(name, value, true)` ends with the transaction; anything else may not.
fn of_set_config(mut tokens: Tokens<'_>) -> Effects {
    tokens.next_if_eq(&Token::Symbol(b'('));
    let name = next_argument(&mut tokens);
    let named = |expected: &[&str]| name.is_some_and(|name| expected.iter().any(|other| is(name, other)));
    if named(&["standard_conforming_strings"]) {
        return Effects::SETTING | Effects::UNKNOWN;
    }
    if named(&super::REPORTED) {
        Effects::NONE
    } else if is_local(tokens.clone()) {
        let may_name_path = name.is_none() || named(&["search_path"]);
        if may_name_path { of_local_path(tokens) } else { Effects::NONE }
    } else if named(&["role"]) {
        Effects::ROLE
    } else if named(&["session_authorization"]) {
        Effects::AUTHORIZATION
    } else if named(&["search_path"]) {
        Effects::SEARCH_PATH
    } else if name.is_none() {
        Effects::SETTING | Effects::UNKNOWN_SETTING
    } else {
        Effects::SETTING
    }
}

/// The next argument, if it is a plain string and not the last.
fn next_argument<'a>(tokens: &mut Tokens<'a>) -> Option<&'a [u8]> {
    match tokens.next() {
        Some(Token::Text(text)) if tokens.peek() == Some(&Token::Symbol(b',')) => Some(text),
        _ => None,
    }
}

/// A search path is gone with its transaction. What was made while it was in force may be temporary, and is not.
fn of_local_path(mut tokens: Tokens<'_>) -> Effects {
    tokens.next_if_eq(&Token::Symbol(b','));
    let is_harmless = next_argument(&mut tokens)
        .is_some_and(|path| !path.to_ascii_lowercase().windows(PG_TEMP.len()).any(|part| part == PG_TEMP));
    if is_harmless { Effects::NONE } else { Effects::LOCAL_PATH }
}

/// What the schemas of temporary objects are called.
const PG_TEMP: &[u8] = b"pg_temp";

/// Is the last argument the word `true`?
fn is_local(tokens: Tokens<'_>) -> bool {
    let mut depth = 0_u32;
    let mut last: Option<&[u8]> = None;
    for token in tokens {
        match token {
            Token::End => break,
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') if depth == 0 => break,
            Token::Symbol(b')') => depth -= 1,
            Token::Word(word) if last.is_none() => last = Some(word),
            Token::Symbol(b',') if depth == 0 => last = None,
            // More than the one word.
            _ => last = Some(b""),
        }
    }
    last.is_some_and(|word| is(word, "true"))
}

/// Key words that a bracket may follow, and functions and types of PostgreSQL's own that are used most. A
/// name that is not here costs something only in databases whose functions change sessions.
const LEAVE_NOTHING: &[&str] = &[
    "abs",
    "age",
    "all",
    "and",
    "any",
    "array",
    "array_agg",
    "array_length",
    "as",
    "avg",
    "between",
    "bit",
    "bool_and",
    "bool_or",
    "btrim",
    "by",
    "case",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "check",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "conflict",
    "count",
    "cube",
    "cume_dist",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "currval",
    "date",
    "date_part",
    "date_trunc",
    "decimal",
    "dense_rank",
    "distinct",
    "else",
    "every",
    "except",
    "exists",
    "extract",
    "filter",
    "first_value",
    "floor",
    "format",
    "format_type",
    "from",
    "gen_random_uuid",
    "generate_series",
    "greatest",
    "group",
    "grouping",
    "hashtext",
    "having",
    "in",
    "initcap",
    "intersect",
    "interval",
    "into",
    "is",
    "json_agg",
    "json_build_object",
    "jsonb_agg",
    "jsonb_build_object",
    "key",
    "lag",
    "last_value",
    "lastval",
    "lateral",
    "lead",
    "least",
    "left",
    "length",
    "like",
    "limit",
    "ln",
    "localtime",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "not",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "numeric",
    "octet_length",
    "offset",
    "on",
    "or",
    "over",
    "overlay",
    "partition",
    "percent_rank",
    "pg_advisory_unlock",
    "pg_advisory_xact_lock",
    "pg_backend_pid",
    "pg_sleep",
    "pg_try_advisory_xact_lock",
    "position",
    "power",
    "random",
    "rank",
    "regexp_replace",
    "repeat",
    "replace",
    "returning",
    "reverse",
    "right",
    "rollup",
    "round",
    "row",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "select",
    "set",
    "split_part",
    "sqrt",
    "string_agg",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "sum",
    "then",
    "time",
    "timestamp",
    "timestamptz",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_timestamp",
    "translate",
    "trim",
    "trunc",
    "union",
    "unnest",
    "upper",
    "using",
    "values",
    "varchar",
    "version",
    "when",
    "where",
    "with",
    "within",
];

/// The names of [`LEAVE_NOTHING`] as an array in PostgreSQL's notation: a database may have functions of its own
/// by these names.
pub(in crate::relay) static TRUSTED_NAMES: LazyLock<String> =
    LazyLock::new(|| format!("{{{}}}", LEAVE_NOTHING.join(",")));

fn leaves_nothing(name: &[u8]) -> bool {
    is_among(LEAVE_NOTHING, name)
}

fn is_among(sorted: &[&str], name: &[u8]) -> bool {
    sorted.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_so_that_they_can_be_searched() {
        assert!(LEAVE_NOTHING.is_sorted() && CANNOT_BE_UNDONE.is_sorted());
        assert!(leaves_nothing(b"count") && !leaves_nothing(b"audit"));
    }

    #[test]
    fn every_name_fits_the_room_for_it() {
        assert!(LEAVE_NOTHING.iter().all(|name| name.len() <= LONGEST_WORD));
        for name in CANNOT_BE_UNDONE {
            for text in [format!("select {name}(1)"), format!("values ({}())", name.to_uppercase())] {
                assert!(crate::relay::effects::of_sql(text.as_bytes()).any_of(Effects::UNKNOWN), "{text}");
            }
        }
    }
}

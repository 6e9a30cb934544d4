//! What has to be known of a text before its statement may be shared, or its name be ours to drop.

use crate::relay::sql_lexer::{Lexer, Token};

/// Statements prepared in one transaction that are remembered one by one; of more, all are given up.
pub const OF_TRANSACTION_MAX: usize = 64;

/// With what statements begin that mean the same each time as long as the names in them do. The others
/// are utility statements: what `FETCH` or `EXECUTE` returns depends on what was declared or prepared
/// before, and most change the session.
const PLAIN_HEADS: [&str; 16] = [
    "select",
    "insert",
    "update",
    "delete",
    "with",
    "values",
    "merge",
    "begin",
    "commit",
    "end",
    "start",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "table",
];

/// The tags that such statements are completed with.
const PLAIN_TAGS: [&[u8]; 14] = [
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"MERGE",
    b"BEGIN",
    b"COMMIT",
    b"START",
    b"ROLLBACK",
    b"SAVEPOINT",
    b"RELEASE",
    b"FETCH",
    b"COPY",
    b"SHOW",
];

/// Tags of statements after which other texts may mean something else, for everybody.
const SCHEMA_TAGS: [&[u8]; 6] = [b"ALTER", b"CREATE", b"DROP", b"DO", b"IMPORT", b"REASSIGN"];

/// Sets a setting from within any statement, such as where names are looked up.
const SETTER: &[u8] = b"set_config";

/// May the statement be prepared once and used in place of later ones with the same text, and does it leave
/// alone what the names in later texts mean?
#[must_use]
pub fn is_plain(sql: &[u8]) -> bool {
    let Some(Token::Word(head)) = Lexer::new(sql).next() else { return false };
    PLAIN_HEADS.iter().any(|plain| head.eq_ignore_ascii_case(plain.as_bytes())) && !calls_setter(sql)
}

/// What the string constants of a text mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constants {
    /// The same to everybody, whenever.
    Fixed,
    /// It may depend on settings, such as the time zone or the encoding.
    BySettings,
    /// It may depend on the moment at which they are read, or on what a name stands for then.
    ByMoment,
}

/// What PostgreSQL reads as the moment of reading, when it stands for a date or a time.
const MOMENTS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];

/// What the string constants of a text mean. Errs on the side of dependence: their types are not known here.
#[must_use]
pub fn constants(sql: &[u8]) -> Constants {
    let mut has_text = false;
    let mut names_by_text = false;
    let mut by_settings = !sql.is_ascii();
    let mut previous_is_text = false;
    for token in Lexer::new(sql) {
        let is_text = matches!(token, Token::Text(_) | Token::Body(_));
        match token {
            Token::Text(text) | Token::Body(text) => {
                let moment = MOMENTS.iter().any(|moment| contains_ignoring_case(text, moment));
                // Two in a row are one.
                if moment || previous_is_text {
                    return Constants::ByMoment;
                }
                by_settings |= text.iter().any(u8::is_ascii_digit);
                has_text = true;
            }
            // Whatever it says, it does not say so here.
            Token::Escaped => return Constants::ByMoment,
            Token::Word(word) => names_by_text |= is_kind_of_name(word),
            _ => {}
        }
        previous_is_text = is_text;
    }
    match (has_text && names_by_text, by_settings) {
        (true, _) => Constants::ByMoment,
        (false, true) => Constants::BySettings,
        (false, false) => Constants::Fixed,
    }
}

/// `regclass`, `regproc` and their like: the types of names.
fn is_kind_of_name(word: &[u8]) -> bool {
    let head = |prefix: &[u8]| word.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    head(b"reg") && !head(b"regexp")
}

fn contains_ignoring_case(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Might a function in the text change a setting?
#[must_use]
pub fn calls_setter(sql: &[u8]) -> bool {
    sql.windows(SETTER.len())
        .any(|window| matches!(window[0], b's' | b'S') && window.eq_ignore_ascii_case(SETTER))
}

/// Was a statement with this tag one that [`is_plain`] admits?
#[must_use]
pub fn is_plain_tag(tag: &[u8]) -> bool {
    starts_with_any(tag, &PLAIN_TAGS)
}

/// May a statement with this tag have changed the schema for everybody?
#[must_use]
pub fn changes_schema(tag: &[u8]) -> bool {
    starts_with_any(tag, &SCHEMA_TAGS)
}

fn starts_with_any(tag: &[u8], heads: &[&[u8]]) -> bool {
    let head = tag.split(|byte| *byte == b' ').next().unwrap_or_default();
    heads.contains(&head)
}

/// The name in a text that is one `DEALLOCATE name` and nothing else. `None` for `DEALLOCATE ALL`, and for
/// whatever is written in an unusual way.
#[must_use]
pub fn deallocated_name(sql: &[u8]) -> Option<Vec<u8>> {
    let rest = after_word(sql.trim_ascii_start(), b"deallocate")?;
    let rest = after_word(rest, b"prepare").unwrap_or(rest);
    let (name, rest) = identifier(rest)?;
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b";").unwrap_or(rest);
    rest.trim_ascii().is_empty().then_some(name)
}

/// What follows a word and the blanks behind it.
fn after_word<'a>(sql: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = sql.split_at_checked(word.len())?;
    let ends = rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    (ends && head.eq_ignore_ascii_case(word)).then(|| rest.trim_ascii_start())
}

/// An identifier as PostgreSQL reads it: quoted ones as they are, others in lower case.
fn identifier(sql: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = sql.strip_prefix(b"\"") else {
        let length = sql.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(sql.len());
        let name = sql[..length].to_ascii_lowercase();
        let is_name = name.first().is_some_and(|byte| !byte.is_ascii_digit()) && name != b"all";
        return is_name.then_some((name, &sql[length..]));
    };
    let mut name = Vec::new();
    let mut rest = quoted;
    loop {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        name.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\"") {
            Some(more) => {
                name.push(b'"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, rest)),
        }
    }
}

/// Without bytes above 127: PostgreSQL lowers some of those by the database's rules, which are not ours.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_rows_is_plain_and_anything_else_is_not() {
        for sql in ["select 1", "/* a */ WITH x as (select 1) table x", "Begin", "insert into t values (1)"] {
            assert!(is_plain(sql.as_bytes()), "{sql}");
        }
        for sql in [
            "fetch all from c",
            "execute s",
            "set local search_path = a",
            "create table t ()",
            "select SET_config('search_path', 'a', true)",
            "do $$ begin end $$",
            "",
            "(select 1)",
        ] {
            assert!(!is_plain(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn constants_mean_the_same_unless_they_may_not() {
        use Constants::{ByMoment, BySettings, Fixed};
        for (sql, constants) in [
            ("select 1, $1, 'word', \"now\", now() -- 'now'", Fixed),
            ("select regexp_replace(a, 'x', 'y') from t", Fixed),
            ("select '2024-01-01'", BySettings),
            ("select 'é'", BySettings),
            ("select a as é from t", BySettings),
            ("select 'Now'::timestamptz", ByMoment),
            ("select date 'today'", ByMoment),
            ("select $$tomorrow$$", ByMoment),
            ("select 'no'\n'w'", ByMoment),
            ("select E'n\\x6fw'", ByMoment),
            ("select 'f'::regproc", ByMoment),
        ] {
            assert_eq!(super::constants(sql.as_bytes()), constants, "{sql}");
        }
    }

    #[test]
    fn a_deallocated_name_is_read_as_the_server_would() {
        for (sql, name) in [
            ("DEALLOCATE \"_pg3_0\"", "_pg3_0"),
            ("deallocate Name ;\n", "name"),
            ("deallocate prepare x", "x"),
            ("deallocate \"a\"\"B\"", "a\"B"),
            ("deallocate \"all\"", "all"),
            (" deallocate\"tight\"", "tight"),
        ] {
            assert_eq!(deallocated_name(sql.as_bytes()).as_deref(), Some(name.as_bytes()), "{sql}");
        }
        for sql in [
            "deallocate all",
            "deallocate prepare all",
            "deallocate a; select 1",
            "deallocate /* a */ b",
            "deallocate",
            "deallocate \"open",
            "deallocate naïve",
            "deallocates x",
            "select 1",
        ] {
            assert_eq!(deallocated_name(sql.as_bytes()), None, "{sql}");
        }
    }

    #[test]
    fn tags_tell_what_was_done() {
        assert!(is_plain_tag(b"SELECT 5") && is_plain_tag(b"BEGIN") && !is_plain_tag(b"SET"));
        assert!(changes_schema(b"CREATE TABLE") && !changes_schema(b"COMMIT"));
    }
}

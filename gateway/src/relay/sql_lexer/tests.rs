use super::*;
use proptest::prelude::*;

fn words(sql: &str) -> Vec<String> {
    Lexer::new(sql.as_bytes())
        .filter_map(|token| match token {
            Token::Word(word) => Some(String::from_utf8_lossy(word).into_owned()),
            Token::Quoted(name) => Some(format!("\"{}\"", String::from_utf8_lossy(name))),
            Token::Unreadable => Some("?".into()),
            Token::End => Some(";".into()),
            _ => None,
        })
        .collect()
}

#[test]
fn strings_and_comments_hide_their_words() {
    for sql in [
        "select 'set x'",
        "select E'it\\'s set x'",
        "select $$set x$$",
        "select $a$ set $$ x $a$",
        "select -- set x\n",
        "select /* set /* x */ y */",
        "select 'doubled '' set x'",
        "select U&'set \\0041 x'",
        "select 'a' -- b\n '; set x'",
        "select $ä$ ; set x $ä$",
        "select E'\\\\\\'; set x'",
    ] {
        assert_eq!(words(sql), ["select"], "{sql}");
    }
}

#[test]
fn parameters_are_no_dollar_quotes() {
    assert_eq!(words("select $1, a from b where c = $2"), ["select", "a", "from", "b", "where", "c"]);
}

#[test]
fn statements_end_only_outside_of_strings() {
    assert_eq!(words("a; 'b;' ; c"), ["a", ";", ";", "c"]);
}

#[test]
fn quoted_identifiers_are_no_key_words() {
    assert_eq!(words("\"Set\" \"a\"\"b\" U&\"s\\0065t\""), ["\"Set\"", "\"a\"\"b\"", "?"]);
}

#[test]
fn a_backslash_ends_nothing_in_a_plain_string() {
    assert_eq!(words("select '\\'; set x --'"), ["select", ";", "set", "x"]);
}

#[test]
fn a_string_with_escapes_goes_on_with_escapes_on_another_line() {
    for sql in ["select E'a'\n'\\'; set x'", "select e'a' \t\r 'b' -- '\n-- c\n '\\'; set x'"] {
        assert_eq!(words(sql), ["select"], "{sql}");
    }
    assert_eq!(
        words("select E'a'\n'\\'', set_config('x', 'y', false) --'"),
        ["select", "set_config", "false"]
    );
    for sql in
        ["select E'a' '\\', set x --'", "select E'a' /*\n*/ '\\', set x --'", "select 'a'\n'\\', set x --'"]
    {
        assert_eq!(words(sql), ["select", "set", "x"], "{sql}");
    }
}

#[test]
fn a_message_ends_at_its_zero_byte() {
    assert_eq!(words("select\0set"), ["select"]);
}

#[test]
fn numbers_hide_no_words() {
    let tokens: Vec<_> = Lexer::new(b"1.5e3 .5 7e 1e+5from 0x1F").collect();
    use Token::{Number, Symbol, Word};
    let expected = [
        Number(b"1.5e3"),
        Symbol(b'.'),
        Number(b"5"),
        Number(b"7"),
        Word(b"e"),
        Number(b"1e+5"),
        Word(b"from"),
        Number(b"0"),
        Word(b"x1F"),
    ];
    assert_eq!(tokens, expected);
}

proptest! {
    #[test]
    fn any_bytes_come_to_an_end(sql in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Lexer::new(&sql).count() <= sql.len());
    }

    #[test]
    fn any_mix_of_quotes_comes_to_an_end(sql in "[$'\"a\\\\/*;-]{0,60}") {
        prop_assert!(Lexer::new(sql.as_bytes()).count() <= sql.len());
    }
}

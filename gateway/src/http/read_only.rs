//! `?read_only=true`: a request that can only read, whatever its statements say.
//!
//! It runs in a READ ONLY transaction. PostgreSQL lets a transaction become one that writes only before its first query
//! (`check_transaction_read_only` in `commands/variable.c`), so a query of ours goes first; and a statement that would
//! end the transaction, behind which the next one could write, is refused.

use super::failure::Failure;
use crate::error::Refusal;
use crate::relay::sql_lexer::{Lexer, Token};
use crate::resolve::connection_string::percent_decoded;

/// What is run first. Whatever takes a snapshot would do.
pub const FENCE: &str = "select 1";

/// The parameter of the request's address.
const PARAMETER: &str = "read_only";

/// `invalid_transaction_termination`.
const TERMINATION: &str = "2D000";

/// Does the request ask for it? `query` is what its address has behind the question mark.
///
/// # Errors
/// It says neither yes nor no, or both; or it has a parameter that is not known. Were that one let pass, whoever has
/// mistyped this one would write.
pub fn is_wanted(query: Option<&str>) -> Result<bool, Failure> {
    let mut wanted = None;
    for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if percent_decoded(name).as_deref() != Some(PARAMETER) {
            return Err(Refusal::protocol("the address has a parameter that is not known")
                .hint("the only one is read_only, which is true or false")
                .into());
        }
        let value = match percent_decoded(value).as_deref() {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(unclear()),
        };
        if wanted.replace(value).is_some() {
            return Err(unclear());
        }
    }
    Ok(wanted.unwrap_or_default())
}

/// May the statement run where only reading is allowed?
///
/// # Errors
/// It would end the transaction.
pub fn check(sql: &str) -> Result<(), Failure> {
    if !ends_transaction(sql.as_bytes()) {
        return Ok(());
    }
    Err(Failure::Statement {
        code: TERMINATION,
        message: "a read-only request cannot end its transaction".into(),
        hint: Some("leave the statement out: the transaction ends with the request"),
    })
}

fn ends_transaction(sql: &[u8]) -> bool {
    let mut words = Lexer::new(sql).skip_while(|token| *token == Token::End).map_while(|token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    let Some(first) = words.next() else { return false };
    let is = |word: &[u8], expected: &str| word.eq_ignore_ascii_case(expected.as_bytes());
    if ["commit", "end", "abort"].iter().any(|head| is(first, head)) {
        return true;
    }
    match first {
        // Back to a savepoint, the transaction goes on.
        word if is(word, "rollback") => !words.take(2).any(|word| is(word, "to")),
        word if is(word, "prepare") => words.next().is_some_and(|word| is(word, "transaction")),
        _ => false,
    }
}

fn unclear() -> Failure {
    Refusal::protocol("read_only is given as true or false, and once").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_in_one_way() {
        for (query, expected) in [
            (None, Some(false)),
            (Some(""), Some(false)),
            (Some("read_only=true"), Some(true)),
            (Some(""), Some(false)),
            (Some("&read_only=true&"), Some(true)),
            (Some("read%5Fonly=%74rue"), Some(true)),
            (Some("a=b&read_only=true"), None),
            (Some("readonly=true"), None),
            (Some("read%zzonly=true"), None),
            (Some("read_only=false"), Some(false)),
            (Some("read_only"), None),
            (Some("read_only=1"), None),
            (Some("read_only=false&read_only=true"), None),
            (Some("READ_ONLY=true"), None),
        ] {
            assert_eq!(is_wanted(query).ok(), expected, "{query:?}");
        }
    }

    #[test]
    fn statements_that_end_a_transaction_are_told_from_others() {
        for sql in [
            "commit",
            "COMMIT and chain",
            "/* a /* b */ */ ; -- c\n end work",
            "abort",
            "rollback",
            "rollback work and chain",
            "rollback prepared 'x'",
            "prepare transaction 'x'",
            "commit prepared 'x'",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
        for sql in [
            "",
            "select 1",
            "select 'commit'",
            "rollback to savepoint a",
            "rollback work to a",
            "prepare p as select 1",
            "\"commit\"",
            "begin",
            "savepoint commit",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
    }
}

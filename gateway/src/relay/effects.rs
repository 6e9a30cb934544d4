//! What a statement leaves behind in the session once its transaction is over.
//!
//! PostgreSQL tells us of some settings only (those it reports); the rest is read from the
//! statement's text. The reading errs on the side of seeing an effect where there is none. What it cannot
//! see, state that a function sets from inside, stays within the tenant's own connections.

use super::sql_lexer::{Lexer, Token};
use std::ops::{BitOr, BitOrAssign};

/// A set of effects on the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects(u16);

impl Effects {
    /// Nothing stays.
    pub const NONE: Self = Self(0);
    /// A setting that the server does not report.
    pub const SETTING: Self = Self(1);
    /// A subscription to notifications.
    pub const LISTEN: Self = Self(1 << 1);
    /// A statement prepared in SQL.
    pub const PREPARE: Self = Self(1 << 2);
    /// A temporary object.
    pub const TEMPORARY: Self = Self(1 << 3);
    /// A cursor that outlives its transaction.
    pub const HOLD_CURSOR: Self = Self(1 << 4);
    /// A lock that outlives its transaction.
    pub const ADVISORY_LOCK: Self = Self(1 << 5);
    /// A library loaded into the backend.
    pub const LIBRARY: Self = Self(1 << 6);
    /// All settings were put back to the role's defaults, unless the transaction is rolled back.
    pub const RESET_ALL: Self = Self(1 << 8);
    /// Prepared statements are discarded.
    pub const DISCARD: Self = Self(1 << 9);
    /// Code that we do not read (`DO`): the connection is closed after use rather than trusted.
    pub const UNKNOWN: Self = Self(1 << 7);

    /// Is nothing left behind?
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Is any of these left behind?
    #[must_use]
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Effects {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Effects {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Settings that every supported server reports when they change
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>) and that a client can
/// change. Their values follow the client from connection to connection.
pub const REPORTED: [&str; 5] =
    ["application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone"];

/// Reads the effects of a text of one or more statements.
#[must_use]
pub fn of_sql(sql: &[u8]) -> Effects {
    let mut effects = Effects::NONE;
    let mut tokens = Lexer::new(sql).peekable();
    while tokens.peek().is_some() {
        effects |= of_statement(&mut tokens);
    }
    effects
}

type Tokens<'a> = std::iter::Peekable<Lexer<'a>>;

/// Reads one statement up to its end.
fn of_statement(tokens: &mut Tokens<'_>) -> Effects {
    let head = match tokens.next() {
        Some(Token::Word(word)) => of_head(word, tokens),
        Some(Token::End) | None => return Effects::NONE,
        Some(_) => Effects::NONE,
    };
    head | of_body(tokens)
}

fn of_head(word: &[u8], tokens: &mut Tokens<'_>) -> Effects {
    if is(word, "set") {
        of_set(tokens)
    } else if is(word, "reset") {
        of_reset(tokens)
    } else if is(word, "listen") {
        Effects::LISTEN
    } else if is(word, "prepare") {
        if next_is(tokens, "transaction") { Effects::NONE } else { Effects::PREPARE }
    } else if is(word, "load") {
        Effects::LIBRARY
    } else if is(word, "do") {
        Effects::UNKNOWN
    } else if is(word, "discard") || is(word, "deallocate") {
        Effects::DISCARD
    } else if is(word, "create") {
        of_create(tokens)
    } else if is(word, "update") {
        of_update(tokens)
    } else {
        Effects::NONE
    }
}

/// Changes what a backslash in a string means, and with it how we would have to read a text. Whoever
/// changes it keeps the connection, if only for one transaction.
const LEXICAL_SETTING: &str = "standard_conforming_strings";

fn of_set(tokens: &mut Tokens<'_>) -> Effects {
    let mut name = next_word(tokens);
    if name.is_some_and(|word| is(word, "session")) && !next_is_assignment(tokens) {
        name = next_word(tokens);
    }
    let Some(name) = name else { return Effects::SETTING };
    if is(name, "local") && next_is(tokens, LEXICAL_SETTING) {
        return Effects::SETTING;
    }
    let ends_with_transaction = ["local", "transaction", "constraints"].iter().any(|word| is(name, word));
    let reported = is(name, "names")
        || (is(name, "time") && next_is(tokens, "zone"))
        || REPORTED.iter().any(|setting| is(name, setting));
    if ends_with_transaction || reported { Effects::NONE } else { Effects::SETTING }
}

fn of_reset(tokens: &mut Tokens<'_>) -> Effects {
    match next_word(tokens) {
        Some(name) if is(name, "all") => Effects::RESET_ALL,
        Some(name) if REPORTED.iter().any(|setting| is(name, setting)) => Effects::NONE,
        _ => Effects::SETTING,
    }
}

fn of_create(tokens: &mut Tokens<'_>) -> Effects {
    const BEFORE_TEMPORARY: [&str; 4] = ["or", "replace", "local", "global"];
    while let Some(Token::Word(word)) = tokens.peek() {
        if is_temporary(word) {
            return Effects::TEMPORARY;
        }
        if !BEFORE_TEMPORARY.iter().any(|skipped| is(word, skipped)) {
            break;
        }
        tokens.next();
    }
    Effects::NONE
}

/// `pg_settings` is a view whose rows can be updated, which is another way to SET.
fn of_update(tokens: &mut Tokens<'_>) -> Effects {
    let mut ahead = tokens.clone().take_while(|token| !matches!(token, Token::Word(word) if is(word, "set")));
    let names_view = ahead.any(|token| matches!(token, Token::Word(word) if is(word, "pg_settings")));
    if names_view { Effects::SETTING } else { Effects::NONE }
}

/// Effects that can stand anywhere in a statement.
fn of_body(tokens: &mut Tokens<'_>) -> Effects {
    let mut effects = Effects::NONE;
    while let Some(token) = tokens.next() {
        match token {
            Token::End => break,
            Token::Word(word) => effects |= of_word(word, tokens),
            Token::Text(_) | Token::Symbol(_) => {}
        }
    }
    effects
}

fn of_word(word: &[u8], tokens: &mut Tokens<'_>) -> Effects {
    if is_session_lock(word) {
        Effects::ADVISORY_LOCK
    } else if is(word, "set_config") {
        of_set_config(tokens.clone())
    } else if is(word, "pg_temp") {
        Effects::TEMPORARY
    } else if is(word, "into") || is(word, "create") {
        of_create(tokens)
    } else if is(word, "with") && next_is(tokens, "hold") {
        Effects::HOLD_CURSOR
    } else {
        Effects::NONE
    }
}

/// `set_config(name, value, true)` ends with the transaction; anything else may not.
fn of_set_config(tokens: Tokens<'_>) -> Effects {
    let mut depth = 0_u32;
    let mut last_word: &[u8] = b"";
    for token in tokens {
        match token {
            Token::End => break,
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') if depth <= 1 => break,
            Token::Symbol(b')') => depth -= 1,
            Token::Word(word) => last_word = word,
            Token::Symbol(b',') => last_word = b"",
            Token::Text(_) | Token::Symbol(_) => {}
        }
    }
    if is(last_word, "true") { Effects::NONE } else { Effects::SETTING }
}

fn is_session_lock(word: &[u8]) -> bool {
    ["pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"]
        .iter()
        .any(|name| is(word, name))
}

fn is_temporary(word: &[u8]) -> bool {
    is(word, "temp") || is(word, "temporary")
}

fn is(word: &[u8], expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected.as_bytes())
}

fn next_word<'a>(tokens: &mut Tokens<'a>) -> Option<&'a [u8]> {
    match tokens.next_if(|token| matches!(token, Token::Word(_))) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn next_is(tokens: &mut Tokens<'_>, expected: &str) -> bool {
    matches!(tokens.peek(), Some(Token::Word(word)) if is(word, expected))
}

fn next_is_assignment(tokens: &mut Tokens<'_>) -> bool {
    match tokens.peek() {
        Some(Token::Symbol(b'=')) => true,
        Some(Token::Word(word)) => is(word, "to"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! What a statement leaves behind in the session once its transaction is over.
//!
//! PostgreSQL tells us of some settings only (those it reports); the rest is read from the
//! statement's text. The reading errs on the side of seeing an effect where there is none. What a text
//! cannot show, state that a function or a trigger sets from inside, is the matter of
//! [`super::handover`]; here it is only noted whether a statement may run such code.

pub(super) mod calls;
pub mod change;
mod effect_set;
mod plain;

use super::sql_lexer::{Lexer, Token};
use change::SetForm;
pub use effect_set::Effects;
pub use plain::is_plain_select;

/// Settings that every supported server reports when they change
/// (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>) and that a client can
/// change. Their values follow the client from connection to connection.
pub const REPORTED: [&str; 6] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "default_transaction_read_only",
];

type Tokens<'a> = std::iter::Peekable<Lexer<'a>>;

/// Reads the effects of a text of one or more statements.
#[must_use]
pub fn of_sql(sql: &[u8]) -> Effects {
    if is_plain_select(sql) { Effects::NONE } else { of_statements(sql) }
}

fn of_statements(sql: &[u8]) -> Effects {
    let mut effects = Effects::NONE;
    let mut tokens = Lexer::new(sql).peekable();
    if next_is(&mut tokens, "select") {
        tokens.next();
        effects |= of_first_select(&mut tokens);
    }
    while tokens.peek().is_some() {
        effects |= of_statement(&mut tokens);
    }
    // Which of two statements came last is not told apart.
    let made = if effects.any_of(Effects::SUBSCRIBES) { effects | Effects::LISTEN } else { effects };
    effects.without(Effects::undoing(made))
}

/// Reads one statement up to its end.
fn of_statement(tokens: &mut Tokens<'_>) -> Effects {
    let head = match tokens.next() {
        Some(Token::Word(word)) => of_head(word, tokens),
        Some(Token::End) | None => return Effects::NONE,
        Some(Token::Unreadable) => Effects::UNKNOWN,
        Some(_) => Effects::NONE,
    };
    head | of_body(tokens)
}

/// A text that begins with SELECT, which most do, may be nothing but a call that does as SET does, or one
/// that gives all locks back.
fn of_first_select(tokens: &mut Tokens<'_>) -> Effects {
    if let Some(form) = change::read_lone_call(tokens) {
        tokens.by_ref().for_each(drop);
        return of_set(&form);
    }
    undone_if(calls::unlocks_all(tokens.clone()), Effects::ADVISORY_LOCK) | of_body(tokens)
}

fn of_head(word: &[u8], tokens: &mut Tokens<'_>) -> Effects {
    let mut room = [0; LONGEST_WORD];
    match lower(word, &mut room) {
        b"select" | b"commit" | b"with" | b"values" | b"table" | b"end" | b"abort" | b"rollback"
        | b"savepoint" | b"release" | b"show" | b"fetch" | b"move" | b"declare" | b"explain" => Effects::NONE,
        b"begin" | b"start" => of_modes(tokens.clone()),
        b"set" if next_is(tokens, "transaction") => of_modes(tokens.clone()),
        b"notify" => Effects::NOTIFIES,
        b"insert" | b"copy" | b"merge" => Effects::WRITES | Effects::DRAWS,
        b"update" => Effects::WRITES | of_update(tokens),
        b"delete" => Effects::WRITES,
        b"set" => of_set(&change::read_set(tokens)),
        b"reset" => of_set(&change::read_reset(tokens)),
        b"listen" => of_listen(tokens),
        b"unlisten" => Effects::UNSUBSCRIBES | undone_if(next_is_symbol(tokens, b'*'), Effects::LISTEN),
        b"close" => undone_if(next_is(tokens, "all"), Effects::HOLD_CURSOR),
        b"prepare" if next_is(tokens, "transaction") => Effects::NONE,
        b"prepare" => Effects::PREPARE,
        b"load" => Effects::LIBRARY,
        b"do" => Effects::UNKNOWN | Effects::WRITES | Effects::DEFINES,
        b"deallocate" => of_deallocate(tokens),
        b"discard" => of_discard(tokens),
        b"create" => WRITES_AND_DEFINES | of_language(tokens.clone()) | of_create(tokens),
        b"alter" | b"drop" | b"import" | b"call" => WRITES_AND_DEFINES | Effects::CALLS,
        // EXECUTE and whatever else there is.
        _ => Effects::WRITES | Effects::DRAWS | Effects::CALLS,
    }
}

const WRITES_AND_DEFINES: Effects = Effects::WRITES.or(Effects::DRAWS).or(Effects::DEFINES);

/// The modes that a transaction is given.
fn of_modes(tokens: Tokens<'_>) -> Effects {
    let mut is_behind_read = false;
    for token in tokens.take_while(|token| *token != Token::End) {
        let is_word = |expected| matches!(token, Token::Word(word) if is(word, expected));
        if is_behind_read && is_word("only") {
            return Effects::ONLY_READS;
        }
        is_behind_read = is_word("read");
    }
    Effects::NONE
}

fn undone_if(all: bool, effects: Effects) -> Effects {
    if all { Effects::undoing(effects) } else { Effects::NONE }
}

fn of_set(form: &SetForm) -> Effects {
    match form {
        SetForm::EndsWithTransaction | SetForm::Reported => Effects::NONE,
        SetForm::Follows(_) => Effects::FOLLOWS,
        SetForm::ResetAll => Effects::RESET_ALL | Effects::FOLLOWS | Effects::undoing(Effects::SETTING),
        // How the text that follows is to be read is no longer certain.
        SetForm::Lexical => Effects::SETTING | Effects::UNKNOWN,
        SetForm::SearchPath => Effects::SETTING | Effects::UNKNOWN_SETTING,
        SetForm::Role => Effects::ROLE,
        SetForm::NoRole => Effects::undoing(Effects::ROLE),
        SetForm::Authorization => Effects::AUTHORIZATION,
        SetForm::NoAuthorization => Effects::undoing(Effects::AUTHORIZATION | Effects::ROLE),
        SetForm::Seed => Effects::UNKNOWN,
        SetForm::Other => Effects::SETTING,
    }
}

/// A channel whose name can be read can be listened to by somebody else on the client's behalf.
fn of_listen(tokens: &mut Tokens<'_>) -> Effects {
    match change::read_channel(&mut tokens.clone()) {
        Some(_) => Effects::SUBSCRIBES | Effects::FOLLOWS,
        None => Effects::LISTEN,
    }
}

fn of_deallocate(tokens: &mut Tokens<'_>) -> Effects {
    if next_is(tokens, "prepare") {
        tokens.next();
    }
    Effects::DISCARD | undone_if(next_is(tokens, "all"), Effects::PREPARE)
}

fn of_discard(tokens: &mut Tokens<'_>) -> Effects {
    Effects::DISCARD
        | undone_if(next_is(tokens, "all"), Effects::DISCARDED)
        | undone_if(next_is(tokens, "temp") || next_is(tokens, "temporary"), Effects::TEMPORARY)
}

fn of_create(tokens: &mut Tokens<'_>) -> Effects {
    const BEFORE_TEMPORARY: [&str; 4] = ["or", "replace", "local", "global"];
    while let Some(Token::Word(word)) = tokens.peek() {
        if is_temporary(word) {
            return if drops_on_commit(tokens.clone()) { Effects::NONE } else { Effects::TEMPORARY };
        }
        if !BEFORE_TEMPORARY.iter().any(|skipped| is(word, skipped)) {
            break;
        }
        tokens.next();
    }
    Effects::NONE
}

/// A function in a language that may have a memory of its own may be run and dropped before anybody asks which
/// languages there are.
fn of_language(tokens: Tokens<'_>) -> Effects {
    const WITHOUT_MEMORY: [&str; 4] = ["sql", "plpgsql", "internal", "c"];
    let mut of_function = tokens.take_while(|token| *token != Token::End).skip_while(
        |token| !matches!(token, Token::Word(word) if is(word, "function") || is(word, "procedure")),
    );
    let language = of_function
        .by_ref()
        .find(|token| matches!(token, Token::Word(word) if is(word, "language")))
        .and_then(|_| of_function.next());
    match language {
        None => Effects::NONE,
        Some(Token::Word(name) | Token::Quoted(name) | Token::Text(name))
            if WITHOUT_MEMORY.iter().any(|known| is(name, known)) =>
        {
            Effects::NONE
        }
        Some(_) => Effects::UNKNOWN,
    }
}

/// `ON COMMIT DROP`: the table is gone when its transaction is.
fn drops_on_commit(tokens: Tokens<'_>) -> bool {
    const CLAUSE: [&str; 3] = ["on", "commit", "drop"];
    let mut met = 0;
    for token in tokens.take_while(|token| *token != Token::End) {
        let Token::Word(word) = token else {
            met = 0;
            continue;
        };
        met = match met {
            met if is(word, CLAUSE[met]) => met + 1,
            _ => usize::from(is(word, CLAUSE[0])),
        };
        if met == CLAUSE.len() {
            return true;
        }
    }
    false
}

/// `pg_settings` is a view whose rows can be updated, which is another way to SET.
fn of_update(tokens: &mut Tokens<'_>) -> Effects {
    let mut ahead = tokens.clone().take_while(|token| !matches!(token, Token::Word(word) if is(word, "set")));
    let names_view = ahead.any(|token| {
        matches!(token, Token::Word(word) | Token::Quoted(word) if is(word, "pg_settings"))
            || token == Token::Unreadable
    });
    if names_view { Effects::SETTING | Effects::UNKNOWN_SETTING } else { Effects::NONE }
}

/// Effects that can stand anywhere in a statement.
fn of_body(tokens: &mut Tokens<'_>) -> Effects {
    let mut effects = Effects::NONE;
    while let Some(token) = tokens.next() {
        match token {
            Token::End => break,
            Token::Word(word) => effects |= of_word(word, tokens) | calls::of_name(word, tokens),
            Token::Quoted(name) => effects |= calls::of_name(name, tokens),
            Token::Unreadable => effects |= Effects::UNKNOWN,
            Token::Text(_) | Token::Body(_) | Token::Escaped | Token::Number(_) | Token::Symbol(_) => {}
        }
    }
    effects
}

fn of_word(word: &[u8], tokens: &mut Tokens<'_>) -> Effects {
    // Most words are none of these, which their first letters tell.
    if !word.first().is_some_and(|first| b"icwmduICWMDU".contains(first)) {
        return Effects::NONE;
    }
    let mut room = [0; LONGEST_WORD];
    match lower(word, &mut room) {
        b"into" => Effects::MAKES | of_create(tokens),
        b"create" => of_create(tokens),
        b"with" if next_is(tokens, "hold") => Effects::HOLD_CURSOR,
        b"insert" | b"merge" | b"default" => Effects::WRITES | Effects::DRAWS,
        b"update" => Effects::WRITES | of_update(tokens),
        b"delete" => Effects::WRITES,
        _ => Effects::NONE,
    }
}

fn is_temporary(word: &[u8]) -> bool {
    is(word, "temp") || is(word, "temporary")
}

/// No word that we know is longer.
const LONGEST_WORD: usize = 40;

/// The word in lower case; a longer one than any that we know becomes empty.
fn lower<'a>(word: &[u8], room: &'a mut [u8; LONGEST_WORD]) -> &'a [u8] {
    let Some(place) = room.get_mut(..word.len()) else { return b"" };
    place.copy_from_slice(word);
    place.make_ascii_lowercase();
    place
}

fn is(word: &[u8], expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected.as_bytes())
}

fn next_is(tokens: &mut Tokens<'_>, expected: &str) -> bool {
    matches!(tokens.peek(), Some(Token::Word(word)) if is(word, expected))
}

fn next_is_symbol(tokens: &mut Tokens<'_>, expected: u8) -> bool {
    tokens.peek() == Some(&Token::Symbol(expected))
}

#[cfg(test)]
mod tests;

//! Settings that a text changes in a way that can be done again elsewhere.
//!
//! `SET name = literal` and its relatives are read to the value that PostgreSQL makes of them, so that the
//! client's next connection can be given it. Whatever is written in any other way, or cannot be set again
//! alike, is left to pin the connection.

mod channel;
mod literal;

use super::{REPORTED, Tokens, is, next_is};
use crate::relay::notify::ChannelChange;
use crate::relay::sql_lexer::{Lexer, Token};
pub(super) use channel::read as read_channel;
use literal::{Values, at_end, next_is_assignment, next_name, next_word, read_text, read_values};

/// Bytes of one setting's value that are kept.
const VALUE_BYTES_MAX: usize = 1024;

/// Settings that cannot be set again at any time, or not alike.
const CANNOT_FOLLOW: [&str; 4] =
    ["temp_buffers", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"];

/// Settings of the running transaction, whatever the statement says.
const OF_THE_TRANSACTION: [&str; 3] =
    ["transaction_isolation", "transaction_read_only", "transaction_deferrable"];

/// Changes what a backslash in a string means, and with it how we would have to read a text.
const LEXICAL: &str = "standard_conforming_strings";

/// What a SET or RESET is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetForm {
    /// It is over when the transaction is.
    EndsWithTransaction,
    /// The server tells us what comes of it.
    Reported,
    /// It can be done again.
    Follows(Change),
    /// `RESET ALL`.
    ResetAll,
    /// It changes how texts are to be read.
    Lexical,
    /// A search path that leads to temporary objects.
    SearchPath,
    /// Another role.
    Role,
    /// The role is put back.
    NoRole,
    /// Another session user.
    Authorization,
    /// The session user is put back, and the role with it.
    NoAuthorization,
    /// The random numbers to come are chosen.
    Seed,
    /// Anything else.
    Other,
}

/// A setting's name and its value.
pub type Value = (Box<str>, Box<str>);

/// What one statement changes once its transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These have new values.
    Set(Box<[Value]>),
    /// This one is as it was when the session began.
    Reset(Box<str>),
    /// All are as they were when the session began.
    ResetAll,
    /// Nothing that follows the client.
    Nothing,
    /// These have new values by a call, which is not answered as SET is.
    Called(Box<[Value]>),
    /// What the client listens to, answered by tags of its own.
    Channel(ChannelChange),
}

/// The changes of a text, one for each statement in it that the server answers with the tag `SET`, `RESET`, `LISTEN`
/// or `UNLISTEN`. A text that is nothing but one call of `set_config` has one as well, answered `SELECT 1`.
#[must_use]
pub fn of_sql(sql: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tokens = Lexer::new(sql).peekable();
    if tokens.next_if(|token| matches!(token, Token::Word(word) if is(word, "select"))).is_some() {
        changes.extend(read_lone_call(&tokens).and_then(SetForm::into_call));
        tokens.by_ref().find(|token| *token == Token::End);
    }
    while let Some(head) = tokens.next() {
        match head {
            Token::End => continue,
            // Answered by a tag of its own.
            Token::Word(word) if is(word, "set") && next_is(&mut tokens, "constraints") => {}
            Token::Word(word) if is(word, "set") => changes.push(read_set(&mut tokens).into_change()),
            Token::Word(word) if is(word, "reset") => changes.push(read_reset(&mut tokens).into_change()),
            Token::Word(word) if is(word, "listen") => changes.extend(channel::read_listen(&mut tokens)),
            Token::Word(word) if is(word, "unlisten") => changes.extend(channel::read_unlisten(&mut tokens)),
            _ => {}
        }
        tokens.by_ref().find(|token| *token == Token::End);
    }
    changes
}

/// The changes of a text, to be taken from the end.
#[must_use]
pub fn last_first(sql: &[u8]) -> Vec<Change> {
    let mut changes = of_sql(sql);
    changes.reverse();
    changes
}

impl SetForm {
    fn into_change(self) -> Change {
        match self {
            Self::Follows(change) => change,
            Self::ResetAll => Change::ResetAll,
            _ => Change::Nothing,
        }
    }

    fn into_call(self) -> Option<Change> {
        match self {
            Self::Follows(Change::Set(values)) => Some(Change::Called(values)),
            _ => None,
        }
    }
}

/// Reads what stands behind SET.
pub(super) fn read_set(tokens: &mut Tokens<'_>) -> SetForm {
    let Some(mut name) = next_name(tokens) else { return unreadable_name(tokens) };
    let mut local = false;
    if !next_is_assignment(tokens) && matches!(name.as_str(), "session" | "local") {
        local = name == "local";
        let Some(actual) = next_name(tokens) else { return unreadable_name(tokens) };
        name = actual;
        match name.as_str() {
            "characteristics" if !local => return read_characteristics(tokens),
            "authorization" if !local => return read_authorization(tokens),
            _ => {}
        }
    }
    if name == LEXICAL {
        return if is_on(tokens) { SetForm::EndsWithTransaction } else { SetForm::Lexical };
    }
    match (local, read_named(&name, tokens)) {
        // Temporary objects outlive the search path that they were made by.
        (true, form @ (SetForm::SearchPath | SetForm::Seed)) | (false, form) => form,
        (true, _) => SetForm::EndsWithTransaction,
    }
}

/// The name may be that of any setting, and no text shows what becomes of it.
fn unreadable_name(tokens: &mut Tokens<'_>) -> SetForm {
    match tokens.peek() {
        Some(Token::Quoted(name)) if is(name, "seed") => SetForm::Seed,
        _ => SetForm::SearchPath,
    }
}

/// Reads what stands behind the name.
fn read_named(name: &str, tokens: &mut Tokens<'_>) -> SetForm {
    match name {
        "transaction" | "constraints" if !next_is_assignment(tokens) => SetForm::EndsWithTransaction,
        "names" => SetForm::Reported,
        "time" if next_is(tokens, "zone") => SetForm::Reported,
        "role" => read_role(tokens),
        "session_authorization" => SetForm::Authorization,
        "seed" => SetForm::Seed,
        "schema" => match read_values(tokens) {
            Some(Values::List(path)) => search_path(&path),
            _ => SetForm::SearchPath,
        },
        _ if next_is_assignment(tokens) => {
            tokens.next();
            read_plain(name, tokens)
        }
        _ => SetForm::Other,
    }
}

/// Reads what stands behind RESET.
pub(super) fn read_reset(tokens: &mut Tokens<'_>) -> SetForm {
    let Some(name) = next_name(tokens) else { return SetForm::Other };
    match name.as_str() {
        "all" => SetForm::ResetAll,
        "role" => SetForm::NoRole,
        "session" if next_is(tokens, "authorization") => SetForm::NoAuthorization,
        "session_authorization" => SetForm::NoAuthorization,
        "time" if next_is(tokens, "zone") => SetForm::Reported,
        "transaction" => SetForm::EndsWithTransaction,
        _ if is_reported(&name) => SetForm::Reported,
        // As it was at the start, which is how texts are read.
        LEXICAL => SetForm::EndsWithTransaction,
        _ if at_end(tokens) => SetForm::Follows(Change::Reset(name.into())),
        _ => SetForm::Other,
    }
}

/// Reads what stands behind SELECT when the text is nothing but `select set_config('name', 'value', false)`.
pub(super) fn read_lone_call(behind_select: &Tokens<'_>) -> Option<SetForm> {
    let mut ahead = behind_select.clone();
    let tokens = &mut ahead;
    if next_is(tokens, "pg_catalog") {
        tokens.next();
        tokens.next_if_eq(&Token::Symbol(b'.'))?;
    }
    tokens.next_if(|token| matches!(token, Token::Word(word) if is(word, "set_config")))?;
    tokens.next_if_eq(&Token::Symbol(b'('))?;
    let name = read_text(tokens)?.to_ascii_lowercase();
    tokens.next_if_eq(&Token::Symbol(b','))?;
    let value = read_text(tokens)?;
    tokens.next_if_eq(&Token::Symbol(b','))?;
    tokens.next_if(|token| matches!(token, Token::Word(word) if is(word, "false")))?;
    tokens.next_if_eq(&Token::Symbol(b')'))?;
    tokens.next_if_eq(&Token::End);
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    let special = [LEXICAL, "role", "session_authorization", "seed"].contains(&name.as_str());
    if tokens.peek().is_some() || !plain || special {
        return None;
    }
    Some(if name == "search_path" { one_value_of_path(value) } else { named(&name, value) })
}

fn read_plain(name: &str, tokens: &mut Tokens<'_>) -> SetForm {
    if is_reported(name) {
        return SetForm::Reported;
    }
    match read_values(tokens) {
        _ if OF_THE_TRANSACTION.contains(&name) => SetForm::EndsWithTransaction,
        None if name == "search_path" => SetForm::SearchPath,
        None => SetForm::Other,
        Some(Values::Default) => SetForm::Follows(Change::Reset(name.into())),
        Some(Values::List(path)) if name == "search_path" => search_path(&path),
        Some(Values::List(mut values)) if values.len() == 1 => named(name, values.remove(0)),
        Some(Values::List(_)) => SetForm::Other,
    }
}

fn named(name: &str, value: String) -> SetForm {
    if is_reported(name) {
        SetForm::Reported
    } else if OF_THE_TRANSACTION.contains(&name) {
        SetForm::EndsWithTransaction
    } else if CANNOT_FOLLOW.contains(&name) || value.len() > VALUE_BYTES_MAX {
        SetForm::Other
    } else {
        SetForm::Follows(Change::Set([(name.into(), value.into())].into()))
    }
}

/// The value of `search_path` as PostgreSQL writes it: each schema quoted where it has to be.
fn search_path(schemas: &[String]) -> SetForm {
    let quoted: Vec<String> = schemas.iter().map(|schema| quote(schema)).collect();
    one_value_of_path(quoted.join(", "))
}

fn one_value_of_path(path: String) -> SetForm {
    if path.to_ascii_lowercase().contains("pg_temp") {
        SetForm::SearchPath
    } else {
        named("search_path", path)
    }
}

fn quote(name: &str) -> String {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `SET SESSION CHARACTERISTICS AS TRANSACTION …` sets the defaults of the modes that it names.
fn read_characteristics(tokens: &mut Tokens<'_>) -> SetForm {
    for expected in ["as", "transaction"] {
        if !next_is(tokens, expected) {
            return SetForm::Other;
        }
        tokens.next();
    }
    let mut values: Vec<Value> = Vec::new();
    while !at_end(tokens) {
        let words: Vec<String> = std::iter::from_fn(|| next_word(tokens)).collect();
        tokens.next_if(|token| *token == Token::Symbol(b','));
        match modes(&words) {
            Some(modes) if !modes.is_empty() => values.extend(modes),
            _ => return SetForm::Other,
        }
    }
    if values.is_empty() { SetForm::Other } else { SetForm::Follows(Change::Set(values.into())) }
}

/// Transaction modes that may stand side by side without commas.
fn modes(words: &[String]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    let mut rest: Vec<&str> = words.iter().map(String::as_str).collect();
    while !rest.is_empty() {
        let (length, name, value) = match rest.as_slice() {
            ["read", "only", ..] => (2, "default_transaction_read_only", "on"),
            ["read", "write", ..] => (2, "default_transaction_read_only", "off"),
            ["deferrable", ..] => (1, "default_transaction_deferrable", "on"),
            ["not", "deferrable", ..] => (2, "default_transaction_deferrable", "off"),
            ["isolation", "level", "serializable", ..] => {
                (3, "default_transaction_isolation", "serializable")
            }
            ["isolation", "level", "repeatable", "read", ..] => {
                (4, "default_transaction_isolation", "repeatable read")
            }
            ["isolation", "level", "read", "committed", ..] => {
                (4, "default_transaction_isolation", "read committed")
            }
            ["isolation", "level", "read", "uncommitted", ..] => {
                (4, "default_transaction_isolation", "read uncommitted")
            }
            _ => return None,
        };
        values.push((name.into(), value.into()));
        rest.drain(..length);
    }
    Some(values)
}

fn read_authorization(tokens: &mut Tokens<'_>) -> SetForm {
    if next_is(tokens, "default") { SetForm::NoAuthorization } else { SetForm::Authorization }
}

fn read_role(tokens: &mut Tokens<'_>) -> SetForm {
    if next_is_assignment(tokens) {
        return SetForm::Role;
    }
    if next_is(tokens, "none") { SetForm::NoRole } else { SetForm::Role }
}

/// Is the setting put to what it is for every session of ours?
fn is_on(tokens: &mut Tokens<'_>) -> bool {
    if !next_is_assignment(tokens) {
        return false;
    }
    tokens.next();
    matches!(read_values(tokens), Some(Values::List(values))
        if matches!(values.as_slice(), [value] if ["on", "true", "yes", "1"].contains(&value.as_str())))
}

/// Sessions of a tenant that is full begin read-only: then nothing is reported when the client sets the same.
const ONLY_READS: &str = "default_transaction_read_only";

fn is_reported(name: &str) -> bool {
    !name.eq_ignore_ascii_case(ONLY_READS)
        && REPORTED.iter().any(|reported| reported.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;

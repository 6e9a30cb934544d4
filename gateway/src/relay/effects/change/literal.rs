//! Names and literals, as far as they are written plainly.

use crate::relay::effects::{Tokens, next_is, next_is_symbol};
use crate::relay::sql_lexer::Token;

/// What a setting is set to.
pub(super) enum Values {
    /// What it was at the start.
    Default,
    /// These.
    List(Vec<String>),
}

/// Reads literals up to the end of the statement. `None`: it is written in another way.
pub(super) fn read_values(tokens: &mut Tokens<'_>) -> Option<Values> {
    if next_is(tokens, "default") {
        tokens.next();
        return at_end(tokens).then_some(Values::Default);
    }
    let mut values = vec![read_value(tokens)?];
    while next_is_symbol(tokens, b',') {
        tokens.next();
        values.push(read_value(tokens)?);
    }
    at_end(tokens).then_some(Values::List(values))
}

fn read_value(tokens: &mut Tokens<'_>) -> Option<String> {
    match tokens.peek()? {
        Token::Text(_) => read_text(tokens),
        Token::Word(_) => next_word(tokens),
        Token::Quoted(name) => {
            let name = ascii(name).filter(|name| !name.contains('"'))?.to_owned();
            tokens.next();
            Some(name)
        }
        Token::Number(_) => next_number(tokens),
        Token::Symbol(b'-') => {
            tokens.next();
            next_number(tokens).map(|number| format!("-{number}"))
        }
        _ => None,
    }
}

pub(super) fn read_text(tokens: &mut Tokens<'_>) -> Option<String> {
    let Token::Text(raw) = tokens.next()? else { return None };
    ascii(raw).map(|raw| raw.replace("''", "'"))
}

fn next_number(tokens: &mut Tokens<'_>) -> Option<String> {
    let Token::Number(number) = tokens.next()? else { return None };
    ascii(number).map(str::to_owned)
}

pub(super) fn next_word(tokens: &mut Tokens<'_>) -> Option<String> {
    match tokens.next_if(|token| matches!(token, Token::Word(_))) {
        Some(Token::Word(word)) => ascii(word).map(str::to_ascii_lowercase),
        _ => None,
    }
}

/// A setting's name: words with dots between them.
pub(super) fn next_name(tokens: &mut Tokens<'_>) -> Option<String> {
    let mut name = next_word(tokens)?;
    while next_is_symbol(tokens, b'.') {
        tokens.next();
        name = format!("{name}.{}", next_word(tokens)?);
    }
    Some(name)
}

/// Values of other bytes would depend on the encoding in force when they are set again.
fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())
}

pub(super) fn at_end(tokens: &mut Tokens<'_>) -> bool {
    matches!(tokens.peek(), None | Some(Token::End))
}

pub(super) fn next_is_assignment(tokens: &mut Tokens<'_>) -> bool {
    next_is_symbol(tokens, b'=') || next_is(tokens, "to")
}

//! The console's text taken apart: statements, and words within them.

use super::failure::Failure;

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word as it stands.
    Word(String),
    /// A name in double quotes, without them.
    Name(String),
    /// A text in single quotes, without them.
    Text(String),
    /// Anything else.
    Symbol(char),
}

impl Token {
    /// Is it this keyword, in whatever case?
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// What it says, if it is not a symbol.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Text(text) => Some(text),
            Self::Symbol(_) => None,
        }
    }
}

/// Takes a text apart into statements, the empty ones between two semicolons left out.
pub(super) fn split(text: &str) -> Result<Vec<Vec<Token>>, Failure> {
    let mut scanner = Scanner { rest: text };
    let (mut statements, mut current) = (Vec::new(), Vec::new());
    while let Some(token) = scanner.next()? {
        if token == Token::Symbol(';') {
            statements.push(std::mem::take(&mut current));
        } else {
            current.push(token);
        }
    }
    statements.push(current);
    statements.retain(|statement| !statement.is_empty());
    Ok(statements)
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn next(&mut self) -> Result<Option<Token>, Failure> {
        self.skip_blanks()?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        Ok(Some(match first {
            '"' => Token::Name(self.quoted('"')?),
            '\'' => Token::Text(self.quoted('\'')?),
            _ if is_word(first) => Token::Word(self.word()),
            _ => {
                self.rest = &self.rest[first.len_utf8()..];
                Token::Symbol(first)
            }
        }))
    }

    /// Skips white space and comments; those with stars may be nested, as in SQL.
    fn skip_blanks(&mut self) -> Result<(), Failure> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("--") {
                self.rest = self.rest.split_once('\n').map_or("", |(_comment, rest)| rest);
            } else if self.rest.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Failure> {
        let mut depth = 0_u32;
        loop {
            if let Some(rest) = self.rest.strip_prefix("/*") {
                (depth, self.rest) = (depth + 1, rest);
            } else if let Some(rest) = self.rest.strip_prefix("*/") {
                (depth, self.rest) = (depth - 1, rest);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                let mut chars = self.rest.chars();
                if chars.next().is_none() {
                    return Err(Failure::syntax("unterminated /* comment"));
                }
                self.rest = chars.as_str();
            }
        }
    }

    /// A word; a hyphen belongs to it, as in a tenant's name, unless it begins a comment.
    fn word(&mut self) -> String {
        let end = self.rest.char_indices().find(|(index, c)| {
            let comment = self.rest[*index..].starts_with("--");
            comment || !(is_word(*c) || matches!(*c, '-' | '.'))
        });
        let (word, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(index, _)| index));
        self.rest = rest;
        word.to_owned()
    }

    fn quoted(&mut self, quote: char) -> Result<String, Failure> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        chars.next();
        loop {
            match chars.next() {
                None => return Err(Failure::syntax("unterminated quoted string")),
                Some(c) if c == quote => {
                    let after = chars.as_str();
                    if !after.starts_with(quote) {
                        self.rest = after;
                        return Ok(text);
                    }
                    chars.next();
                    text.push(quote);
                }
                Some(c) => text.push(c),
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        let statements = split(text).expect("a good text");
        let text = |token: &Token| token.text().map_or_else(|| "?".to_owned(), str::to_owned);
        statements.iter().map(|statement| statement.iter().map(text).collect()).collect()
    }

    #[test]
    fn statements_end_with_semicolons_outside_quotes_and_comments() {
        assert_eq!(words("SHOW POOLS"), [["SHOW", "POOLS"]]);
        assert_eq!(words(" show\tpools ;; pause acme-1;\n"), [["show", "pools"], ["pause", "acme-1"]]);
        assert_eq!(words("pause \"a;\"\"b\" -- c;\n"), [["pause", "a;\"b"]]);
        assert_eq!(words("/* ; /* nested */ */ SHOW/**/STATS--"), [["SHOW", "STATS"]]);
        assert_eq!(words("SET a = 'it''s; b'"), [["SET", "a", "?", "it's; b"]]);
        assert!(words(" ; -- nothing").is_empty());
    }

    #[test]
    fn what_does_not_end_is_an_error() {
        for bad in ["'a", "\"a", "/* a", "/* /* */", "'a''"] {
            assert_eq!(
                split(bad).map_err(|failure| failure.code.as_str().to_owned()),
                Err("42601".into()),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z\"'/*; \\-\n\\PC]{0,60}") {
            let _ = split(&text);
        }
    }
}

//! The words of an SQL text, without its strings and comments.
//!
//! Follows PostgreSQL's lexical rules
//! (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html>) as far as finding words and
//! statement ends needs them: nested comments, doubled quotes, `E''` escapes, dollar quotes, `U&""`
//! identifiers. It allocates nothing and never fails: an unfinished string or comment reaches to the end of
//! the text. It must never find less than PostgreSQL does: what it cannot read it says so.

/// A token that matters for telling what a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// An unquoted word: a key word or a name.
    Word(&'a [u8]),
    /// A quoted identifier without its quotes, doubled ones within it left as they are. Never a key word.
    Quoted(&'a [u8]),
    /// An identifier with Unicode escapes, which may be any name.
    Unreadable,
    /// A string constant in plain quotes, doubled ones within it left as they are.
    Text(&'a [u8]),
    /// A string constant in dollar quotes.
    Body(&'a [u8]),
    /// A string constant with escapes, which are not undone.
    Escaped,
    /// A number without its sign.
    Number(&'a [u8]),
    /// `;`: a statement ends.
    End,
    /// Any other single byte: an operator, a bracket.
    Symbol(u8),
}

/// Splits a text into tokens.
#[derive(Clone)]
pub struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of the text.
    #[must_use]
    pub fn new(sql: &'a [u8]) -> Self {
        Self { sql, at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(byte), _) if is_blank(byte) => self.at += 1,
                (Some(b'-'), Some(b'-')) => self.skip_line(),
                (Some(b'/'), Some(b'*')) => self.skip_block_comment(),
                _ => return,
            }
        }
    }

    /// Up to the line's end, which stays.
    fn skip_line(&mut self) {
        let line = self.rest().iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        self.at += line.unwrap_or(self.rest().len());
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    /// Text up to the closing `quote`; a doubled one stands for itself, and so does whatever follows a
    /// backslash where escapes are in force.
    fn quoted(&mut self, quote: u8, escapes: bool) -> &'a [u8] {
        self.at += 1;
        let from = self.at;
        while let Some(byte) = self.peek(0) {
            let escaped = (byte == b'\\' && escapes) || (byte == quote && self.peek(1) == Some(quote));
            if escaped {
                self.at += 2;
            } else if byte == quote {
                let text = &self.sql[from..self.at];
                self.at += 1;
                return text;
            } else {
                self.at += 1;
            }
        }
        self.at = self.sql.len();
        &self.sql[from.min(self.at)..]
    }

    /// Where the string that has just ended goes on: at a quote behind blanks with a line's end among them, and
    /// behind line comments, as `quotecontinue` in PostgreSQL's `scan.l` has it.
    fn continuation(&self) -> Option<usize> {
        let mut ahead = Self { sql: self.sql, at: self.at };
        let mut ends_line = false;
        loop {
            match (ahead.peek(0)?, ahead.peek(1)) {
                (b'\'', _) => return ends_line.then_some(ahead.at),
                (b'-', Some(b'-')) => ahead.skip_line(),
                (byte, _) if is_blank(byte) => {
                    ends_line |= matches!(byte, b'\n' | b'\r');
                    ahead.at += 1;
                }
                _ => return None,
            }
        }
    }

    /// `$tag$ … $tag$`, or `None` when the dollar begins something else, such as a parameter.
    fn dollar_quoted(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let tag_len = rest.get(1..)?.iter().position(|byte| *byte == b'$')?;
        let tag = &rest[1..=tag_len];
        let is_tag = tag.iter().all(|byte| is_word_byte(*byte) && *byte != b'$')
            && !tag.first().is_some_and(u8::is_ascii_digit);
        if !is_tag {
            return None;
        }
        let delimiter = &rest[..tag_len + 2];
        let body = &rest[delimiter.len()..];
        let length = body.windows(delimiter.len()).position(|window| window == delimiter);
        let text = &body[..length.unwrap_or(body.len())];
        self.at = (self.at + delimiter.len() + text.len() + delimiter.len()).min(self.sql.len());
        Some(text)
    }

    /// Digits, a fraction and an exponent. Letters that follow are a word, as they were to older servers.
    fn number(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            from + tail.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len())
        };
        let mut length = digits(0);
        if rest.get(length) == Some(&b'.') {
            length = digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = length + 1 + sign;
            if rest.get(exponent).is_some_and(u8::is_ascii_digit) {
                length = digits(exponent);
            }
        }
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks_and_comments();
        let byte = self.peek(0)?;
        Some(match byte {
            // A message's text ends here.
            0 => {
                self.at = self.sql.len();
                return None;
            }
            b';' => {
                self.at += 1;
                Token::End
            }
            b'\'' => Token::Text(self.quoted(b'\'', false)),
            b'"' => Token::Quoted(self.quoted(b'"', false)),
            b'e' | b'E' if self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.quoted(b'\'', true);
                // Escapes are in force in what the string goes on with, too.
                while let Some(part) = self.continuation() {
                    self.at = part;
                    self.quoted(b'\'', true);
                }
                Token::Escaped
            }
            b'u' | b'U' if self.peek(1) == Some(b'&') && self.peek(2) == Some(b'\'') => {
                self.at += 2;
                self.quoted(b'\'', false);
                Token::Escaped
            }
            b'u' | b'U' if self.peek(1) == Some(b'&') && self.peek(2) == Some(b'"') => {
                self.at += 2;
                self.quoted(b'"', false);
                Token::Unreadable
            }
            b'$' => match self.dollar_quoted() {
                Some(text) => Token::Body(text),
                None => {
                    self.at += 1;
                    Token::Symbol(b'$')
                }
            },
            byte if byte.is_ascii_digit() => Token::Number(self.number()),
            byte if is_word_byte(byte) => Token::Word(self.word()),
            byte => {
                self.at += 1;
                Token::Symbol(byte)
            }
        })
    }
}

/// Is it a space to PostgreSQL?
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Bytes above 127 are letters to PostgreSQL in every encoding it accepts from clients.
fn is_word_byte(byte: u8) -> bool {
    WORD_BYTES[usize::from(byte)]
}

const WORD_BYTES: [bool; 256] = word_bytes();

const fn word_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80;
        byte += 1;
    }
    table[u8::MAX as usize] = true;
    table
}

#[cfg(test)]
mod tests;

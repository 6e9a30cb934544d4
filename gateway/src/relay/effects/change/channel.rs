//! Which channels LISTEN and UNLISTEN are about.

use super::Change;
use super::literal::at_end;
use crate::relay::effects::{Tokens, next_is_symbol};
use crate::relay::notify::ChannelChange;
use crate::relay::notify::board::ChannelName;
use crate::relay::sql_lexer::Token;

/// PostgreSQL cuts longer names (`NAMEDATALEN` - 1).
const NAME_BYTES_MAX: usize = 63;

/// Reads a channel's name up to the end of the statement. `None`: it is not written plainly, or PostgreSQL would make
/// another of it.
pub(in crate::relay::effects) fn read(tokens: &mut Tokens<'_>) -> Option<ChannelName> {
    let name = match tokens.next()? {
        Token::Word(word) => word.to_ascii_lowercase(),
        Token::Quoted(raw) => undouble(raw),
        _ => return None,
    };
    let is_plain = name.is_ascii() && name.len() <= NAME_BYTES_MAX && at_end(tokens);
    is_plain.then(|| name.into_boxed_slice())
}

/// Reads what stands behind LISTEN.
pub(super) fn read_listen(tokens: &mut Tokens<'_>) -> Option<Change> {
    read(tokens).map(|name| Change::Channel(ChannelChange::Listen(name)))
}

/// Reads what stands behind UNLISTEN.
pub(super) fn read_unlisten(tokens: &mut Tokens<'_>) -> Option<Change> {
    if next_is_symbol(tokens, b'*') {
        return Some(Change::Channel(ChannelChange::UnlistenAll));
    }
    read(tokens).map(|name| Change::Channel(ChannelChange::Unlisten(name)))
}

fn undouble(raw: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().peekable();
    while let Some(byte) = bytes.next() {
        name.push(*byte);
        if *byte == b'"' {
            bytes.next_if_eq(&&b'"');
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::super::of_sql;
    use super::*;

    fn changes(sql: &str) -> Vec<String> {
        let show = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let changes = of_sql(sql.as_bytes()).into_iter().map(|change| match change {
            Change::Channel(ChannelChange::Listen(name)) => format!("+{}", show(&name)),
            Change::Channel(ChannelChange::Unlisten(name)) => format!("-{}", show(&name)),
            Change::Channel(ChannelChange::UnlistenAll) => "-*".into(),
            other => format!("{other:?}"),
        });
        changes.collect()
    }

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        for (sql, expected) in [
            ("listen News", &["+news"][..]),
            ("LISTEN \"News\"", &["+News"]),
            ("listen \"a\"\"b\" ;", &["+a\"b"]),
            ("listen a; unlisten b; unlisten *; listen c", &["+a", "-b", "-*", "+c"]),
            ("select 1; /* x */ listen a -- y", &["+a"]),
            ("begin; listen a; commit", &["+a"]),
            ("listen v1_$2", &["+v1_$2"]),
        ] {
            assert_eq!(changes(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_not_written_plainly_is_not_read() {
        let long = format!("listen {}", "a".repeat(64));
        for sql in ["listen grüße", "listen U&\"a\"", "listen a.b", "listen", "listen 'a'", &long] {
            assert!(changes(sql).is_empty(), "{sql}");
        }
    }
}

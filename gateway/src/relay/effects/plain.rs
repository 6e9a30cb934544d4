//! Texts that leave nothing behind, told at one look.
//!
//! Under load most texts read some rows by a key, and reading each word of them costs more than everything else
//! that is done for them here. What is not plain at one look is read in full: a text is never wrongly called plain.

use super::calls::TEMPORARY_SCHEMA;
use super::is;
use crate::relay::prepared::NAME_PREFIX;

/// Is the text one SELECT that calls nothing by name, quotes nothing, and has no word that could matter? Its effects
/// are then none, and no function in it changes a setting.
#[must_use]
pub fn is_plain_select(sql: &[u8]) -> bool {
    const SELECT: &[u8] = b"select";
    let Some((head, mut rest)) = sql.split_at_checked(SELECT.len()) else { return false };
    if !head.eq_ignore_ascii_case(SELECT) || rest.first().is_none_or(|byte| KINDS[usize::from(*byte)] == WORD)
    {
        return false;
    }
    while let Some((byte, behind)) = rest.split_first() {
        match KINDS[usize::from(*byte)] {
            OTHER => rest = behind,
            WORD => {
                let length = behind.iter().take_while(|byte| KINDS[usize::from(**byte)] == WORD).count() + 1;
                let (word, behind) = rest.split_at(length);
                if may_matter(word) {
                    return false;
                }
                rest = behind;
            }
            // The end of the message, or of the only statement.
            END => return behind.iter().all(|byte| matches!(byte, 0 | b';' | b' ' | b'\n')),
            _ => return false,
        }
    }
    true
}

/// Words that can matter without a bracket behind them.
fn may_matter(word: &[u8]) -> bool {
    match word[0].to_ascii_lowercase() {
        b'c' => is(word, "create"),
        b'd' => is(word, "delete") || is(word, "default"),
        b'i' => is(word, "into") || is(word, "insert"),
        b'm' => is(word, "merge"),
        b'p' => starts_with(word, TEMPORARY_SCHEMA),
        b'u' => is(word, "update"),
        b'w' => is(word, "with"),
        // Older servers take what stands behind a number's digits for a word of its own.
        b'0'..=b'9' => !word.iter().all(u8::is_ascii_digit),
        _ => starts_with(word, NAME_PREFIX),
    }
}

fn starts_with(word: &[u8], prefix: &str) -> bool {
    word.get(..prefix.len()).is_some_and(|head| is(head, prefix))
}

const WORD: u8 = 1;
const OTHER: u8 = 2;
const END: u8 = 3;

/// What a byte is to this look; 0 where the text has to be read in full: brackets, quotes, comments, parameters,
/// anything that is not ASCII.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => WORD,
            b' ' | b'\n' | b'\t' | b'\r' | b',' | b'.' | b'=' | b'<' | b'>' | b'*' | b'+' | b'%' => OTHER,
            b';' | 0 => END,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::effects::{Effects, of_statements};
    use crate::relay::prepared::reading;
    use proptest::prelude::*;

    #[test]
    fn reading_some_rows_is_plain() {
        for sql in [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 123;\0",
            "select * from a, b where a.x = b.y order by z desc limit 10",
            "select 1\0",
        ] {
            assert!(is_plain_select(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn what_may_matter_is_not() {
        for sql in [
            "select f(1)",
            "select 1; listen x",
            "select 1 into temp t",
            "select x from t for update",
            "select 'now'",
            "select \"q\"",
            "select $1",
            "select 1 -- x",
            "select pg_temp.f",
            "selects",
            "select 1into t",
            "listen x",
            "with x as (select 1) select 1",
            "",
        ] {
            assert!(!is_plain_select(sql.as_bytes()), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn what_is_plain_leaves_nothing_behind(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "select", "into", "temp", "t", "update", "set", "listen", ";", "=", "1", ".", "(", ")", "*", "pg_temp",
                    "with", "hold", "create", "default", "nextval", "setval", "set_config", "for", "discard", "all", "'", "\"",
                    "--", "/*", "\0", "insert", "merge", "delete", "pg_advisory_lock", "reset", "__tenantry_1", "E", "$$",
                ]),
                0..12,
            ),
            glue in prop::sample::select(vec![" ", ""]),
        ) {
            let sql = format!("select{glue}{}", words.join(glue));
            if is_plain_select(sql.as_bytes()) {
                prop_assert_eq!(of_statements(sql.as_bytes()), Effects::NONE);
                prop_assert!(!reading::calls_setter(sql.as_bytes()) || !sql.contains('('));
            }
        }
    }
}

//! Putting names and values into statements that take no parameters (all DDL).

/// An identifier in quotes.
///
/// The checked name types admit no quote, so doubling never happens for them; it is here so that the
/// function is safe for any text.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal. `E''` syntax is avoided by refusing nothing and escaping by doubling, which is
/// correct under `standard_conforming_strings = on`; our sessions set it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(identifier("a\"; drop table b; --"), "\"a\"\"; drop table b; --\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}

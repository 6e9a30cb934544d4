//! Whether what a client sends can be read under the settings that its server has.
//!
//! Two of them decide where a string in a text ends. The server reports both, under names of its own and wherever
//! they come from: a startup packet, a role's defaults, a statement. What a client calls them is never asked.

/// Encodings in which a byte below 128 may be a part of another character, so that no quote in a text can be
/// told for sure (<https://www.postgresql.org/docs/current/multibyte.html>), as the server names them.
const UNREADABLE_ENCODINGS: [&str; 7] = ["SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"];

/// Can texts be read under these parameters, as the server has reported them?
#[must_use]
pub fn under(parameters: &[(Box<str>, Box<str>)]) -> bool {
    parameters.iter().all(|(name, value)| match &**name {
        "standard_conforming_strings" => &**value == "on",
        "client_encoding" => !UNREADABLE_ENCODINGS.contains(&&**value),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_where_strings_end_is_what_the_server_reports() {
        let under = |name: &str, value: &str| under(&[("x".into(), "y".into()), (name.into(), value.into())]);
        assert!(under("standard_conforming_strings", "on") && under("client_encoding", "UTF8"));
        assert!(under("client_encoding", "EUC_JP"));
        assert!(!under("standard_conforming_strings", "off"));
        for encoding in UNREADABLE_ENCODINGS {
            assert!(!under("client_encoding", encoding), "{encoding}");
        }
    }
}

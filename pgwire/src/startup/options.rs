//! The startup parameter `options`: settings written as command-line switches.
//!
//! PostgreSQL splits the text at white space (a backslash keeps the character behind it) and reads
//! the words as the server's own command line
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>). Only the
//! switches that set a parameter are read here; the others are for debugging a server.

/// Why the options were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A switch that sets a parameter, without a parameter and a value.
    #[error("{0} requires a value in startup options")]
    MissingValue(String),
    /// Anything but `-c name=value` and `--name=value`.
    #[error("unsupported switch {0} in startup options")]
    Unsupported(String),
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`, in the order given. As in PostgreSQL a
/// hyphen in a name stands for an underscore.
///
/// # Errors
/// Another switch, or one without a value.
pub fn parse_options(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut settings = Vec::new();
    let mut words = split(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if let Some(long) = word.strip_prefix("--") {
            long.to_owned()
        } else if word == "-c" {
            words.next().ok_or(OptionsError::MissingValue(word))?
        } else if let Some(attached) = word.strip_prefix("-c") {
            attached.to_owned()
        } else {
            return Err(OptionsError::Unsupported(word));
        };
        settings.push(setting(assignment)?);
    }
    Ok(settings)
}

fn setting(assignment: String) -> Result<(String, String), OptionsError> {
    match assignment.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.replace('-', "_"), value.to_owned())),
        _ => Err(OptionsError::MissingValue(assignment)),
    }
}

/// Splits at white space that no backslash protects, like PostgreSQL's `pg_split_opts`.
fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            // A backslash at the very end protects nothing and is dropped.
            '\\' => word.get_or_insert_default().extend(characters.next()),
            // What C's isspace() takes for white space.
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(options: &str) -> Vec<(String, String)> {
        parse_options(options).expect("good options")
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_three_ways_to_set_a_parameter() {
        assert_eq!(
            read("-c tenant=acme  -cgeqo=off\t--statement-timeout=5min"),
            pairs(&[("tenant", "acme"), ("geqo", "off"), ("statement_timeout", "5min")])
        );
        assert_eq!(read("  "), pairs(&[]));
        assert_eq!(read("-c a="), pairs(&[("a", "")]));
    }

    #[test]
    fn a_backslash_protects_one_character() {
        assert_eq!(read(r"-c search_path=a,\ b\\c"), pairs(&[("search_path", r"a, b\c")]));
        assert_eq!(read("-c a=b\\"), pairs(&[("a", "b")]));
    }

    #[test]
    fn a_value_may_hold_equal_signs_and_hyphens() {
        assert_eq!(read("-c a=b=c-d"), pairs(&[("a", "b=c-d")]));
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for (options, error) in [
            ("-c", OptionsError::MissingValue("-c".into())),
            ("-c name", OptionsError::MissingValue("name".into())),
            ("-c =x", OptionsError::MissingValue("=x".into())),
            ("--", OptionsError::MissingValue(String::new())),
            ("-d 5", OptionsError::Unsupported("-d".into())),
            ("word", OptionsError::Unsupported("word".into())),
        ] {
            assert_eq!(parse_options(options), Err(error), "{options}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(options in any::<String>()) {
            let _ = parse_options(&options);
        }

        #[test]
        fn escaped_settings_are_read_again(settings in proptest::collection::vec(("[a-z_]{1,8}", any::<String>()), 0..4)) {
            let escape = |text: &str| text.chars().flat_map(|c| ['\\', c]).collect::<String>();
            let options: Vec<_> = settings.iter().map(|(k, v)| format!("-c {k}={}", escape(v))).collect();
            prop_assert_eq!(parse_options(&options.join(" ")), Ok(settings));
        }
    }
}

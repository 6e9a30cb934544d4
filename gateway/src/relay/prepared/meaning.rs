//! On what the meaning of a text depends beside its words.
//!
//! PostgreSQL reads a text once, when it is prepared: names by the search path, and string constants by the
//! settings and the clock of that moment. Who prepares the same text elsewhere, or later, may mean
//! something else by it.

use super::reading::{self, Constants};
use super::statement::Statement;
use crate::relay::settings::Settings;
use std::borrow::Cow;

/// Settings by which any text may be read differently.
const READ_BY: [&str; 3] = [SEARCH_PATH, "transform_null_equals", "array_nulls"];

const SEARCH_PATH: &str = "search_path";

/// Settings that never change how a text is read, though its constants depend on settings.
const NEVER_READ_BY: [&str; 4] =
    ["application_name", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];

/// Begins what is no search path.
const SEVERAL: char = '\0';

/// What of a client's settings decides how it means a text whose constants depend on none. Allocates only
/// for settings that hardly anybody changes.
pub fn by_names(settings: &Settings) -> Option<Cow<'_, str>> {
    let mut relevant = settings.iter().filter(|(name, _)| is_any_of(name, &READ_BY)).peekable();
    let (name, value) = relevant.next()?;
    if relevant.peek().is_none() && name.eq_ignore_ascii_case(SEARCH_PATH) {
        return Some(Cow::Borrowed(value));
    }
    Some(Cow::Owned(listed(settings, |name| is_any_of(name, &READ_BY))))
}

/// What of a client's settings decides how it means a text. `None`: no two clients are sure to mean the same.
pub fn of_text<'a>(settings: &'a Settings, query: &[u8]) -> Option<Option<Cow<'a, str>>> {
    match reading::constants(query) {
        Constants::Fixed => Some(by_names(settings)),
        Constants::BySettings => {
            let list = listed(settings, |name| !is_any_of(name, &NEVER_READ_BY));
            Some((list.len() > SEVERAL.len_utf8()).then_some(Cow::Owned(list)))
        }
        Constants::ByMoment => None,
    }
}

/// Does a statement mean, prepared by a client with these settings, what everybody means who shares it? One that
/// is shared with nobody means what its client means.
pub fn is_still_meant(settings: &Settings, statement: &Statement) -> bool {
    if !statement.is_shared() {
        return true;
    }
    let text = statement.text();
    let now =
        if statement.means_the_same() { Some(by_names(settings)) } else { of_text(settings, text.query()) };
    now.is_some_and(|context| context.as_deref() == text.context)
}

fn listed(settings: &Settings, is_relevant: impl Fn(&str) -> bool) -> String {
    let mut relevant: Vec<_> = settings
        .iter()
        .filter(|(name, _)| is_relevant(name))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    relevant.sort_unstable();
    let mut list = String::from(SEVERAL);
    for (name, value) in relevant {
        // Lengths, so that no two lists look alike.
        list.push_str(&format!("{}:{name}{}:{value}", name.len(), value.len()));
    }
    list
}

fn is_any_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        Settings::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_search_path_and_what_else_texts_are_read_by_tell_clients_apart() {
        assert_eq!(by_names(&settings(&[("TimeZone", "UTC")])), None);
        assert_eq!(by_names(&settings(&[("Search_Path", "a")])).as_deref(), Some("a"));
        let several = settings(&[("search_path", "a"), ("transform_null_equals", "on")]);
        let turned = settings(&[("transform_null_equals", "on"), ("search_path", "a")]);
        assert_eq!(by_names(&several), by_names(&turned));
        assert_ne!(by_names(&several), by_names(&settings(&[("search_path", "a")])));
        let alike = settings(&[("array_nulls", "off")]);
        assert_ne!(by_names(&alike), by_names(&settings(&[("transform_null_equals", "off")])));
    }

    #[test]
    fn constants_that_depend_on_settings_tell_clients_apart_by_all_of_them() {
        let (here, there) = (settings(&[("TimeZone", "UTC")]), settings(&[("TimeZone", "Asia/Tokyo")]));
        let dated = b"select timestamptz '2024-01-01'";
        assert_ne!(of_text(&here, dated), of_text(&there, dated));
        assert_eq!(of_text(&here, b"select 'word'"), of_text(&there, b"select 'word'"));
        let (one, two) = (settings(&[("application_name", "1")]), settings(&[]));
        assert_eq!(of_text(&one, dated), of_text(&two, dated));
        assert_eq!(of_text(&here, b"select timestamptz 'now'"), None);
    }
}

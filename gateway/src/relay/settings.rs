//! Session settings that follow a client from connection to connection.
//!
//! A client begins with the settings of its startup packet and changes those that the server reports.
//! A connection that has other settings gets the difference set, in one round trip that is sent ahead
//! of the client's first message and answered together with it. Values travel as bind parameters.

use super::buffer::Flow;
use super::ledger::{Due, Ledger, Origin, Request};
use crate::connect::ServerConnection;
use pgwire::WriteError;
use pgwire::frontend::{STATEMENT, write};
use std::sync::Arc;

/// Sets one setting; NULL puts it back to the role's default.
pub const SET_CONFIG: &[u8] = b"select pg_catalog.set_config($1, $2, false)";

/// The server's unnamed statement.
pub const UNNAMED: &[u8] = b"";

/// A statement for the same, where the unnamed one is the client's and must stay what it is.
pub const OURS: &[u8] = b"__tenantry_set";

/// Settings that one client's session may have beyond those it began with, and the bytes of their names and
/// values. Whoever wants more keeps its connection.
const COUNT_MAX: usize = 64;
const BYTES_MAX: usize = 8 * 1024;

/// Settings by name, in the order they are to be set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Settings(Vec<(Box<str>, Box<str>)>);

impl Settings {
    /// The settings in the order given; a later value of the same name wins.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings = Self::default();
        for (name, value) in values {
            settings.set(&name, &value);
        }
        settings
    }

    /// The same settings but for one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.set(name, value);
        changed
    }

    /// Are these the server's defaults?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has to be set on a session with these settings to make it one with `wanted`. Unless it is
    /// `certain` that the session has them, all that are wanted are set.
    pub fn steps_to<'a>(
        &'a self,
        wanted: &'a Self,
        certain: bool,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let reset =
            self.0.iter().filter(|(name, _)| wanted.get(name).is_none()).map(|(name, _)| (&**name, None));
        let set = wanted
            .0
            .iter()
            .filter(move |(name, value)| !certain || self.get(name) != Some(value))
            .map(|(name, value)| (&**name, Some(&**value)));
        reset.chain(set)
    }

    /// The value of one of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The same settings without one.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name)).cloned().collect())
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Is there room for one more, or for another value of one?
    #[must_use]
    pub fn has_room_for(&self, name: &str, value: &str) -> bool {
        let bytes: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.0.len() < COUNT_MAX && bytes + name.len() + value.len() <= BYTES_MAX
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, current)) => *current = value.into(),
            None => self.0.push((name.into(), value.into())),
        }
    }
}

/// Writes the messages that turn the connection's settings into the wanted ones.
/// `expect` is told of every request that will be answered.
///
/// # Errors
/// A name or value that does not fit the protocol.
pub fn write_steps(
    server: &ServerConnection,
    wanted: &Settings,
    out: &mut Vec<u8>,
    expect: impl FnMut(Request),
) -> Result<(), WriteError> {
    write_steps_by(UNNAMED, server, wanted, out, expect)
}

fn write_steps_by(
    statement: &[u8],
    server: &ServerConnection,
    wanted: &Settings,
    out: &mut Vec<u8>,
    expect: impl FnMut(Request),
) -> Result<(), WriteError> {
    write_each(statement, server.settings.steps_to(wanted, !server.settings_uncertain), out, expect)
}

fn write_each<'a>(
    statement: &[u8],
    steps: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    out: &mut Vec<u8>,
    mut expect: impl FnMut(Request),
) -> Result<(), WriteError> {
    let before = out.len();
    for (name, value) in steps {
        if out.len() == before {
            write::parse(out, statement, SET_CONFIG, &[])?;
            expect(Request::Parse);
        }
        write::bind_text(out, b"", statement, &[Some(name.as_bytes()), value.map(str::as_bytes)])?;
        expect(Request::Bind);
        write::execute(out, b"", 0)?;
        expect(Request::Execute);
    }
    if out.len() > before {
        if statement != UNNAMED {
            write::close(out, STATEMENT, statement)?;
            expect(Request::Close);
        }
        write::sync(out);
        expect(Request::Sync);
    }
    Ok(())
}

/// Puts the client's settings in force on a leased connection, ahead of what the client sends. Says how many
/// had to be set or reset; if any, the server's unnamed statement is ours now unless `statement` names another.
///
/// # Errors
/// A name or value that does not fit the protocol.
pub fn stage_steps(
    statement: &[u8],
    server: &mut ServerConnection,
    wanted: &Arc<Settings>,
    up: &mut Flow,
    ledger: &mut Ledger,
) -> Result<u64, WriteError> {
    let mut count = 0;
    if Arc::ptr_eq(&server.settings, wanted) && !server.settings_uncertain {
        return Ok(count);
    }
    up.stage(|out| {
        write_steps_by(statement, server, wanted, out, |request| {
            count += u64::from(request == Request::Execute);
            ledger.expect(Due::of(request, Origin::Setup));
        })
    })?;
    server.settings = Arc::clone(wanted);
    server.settings_uncertain = false;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        Settings::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn only_differences_are_set_and_what_is_not_wanted_is_reset() {
        let from = settings(&[("TimeZone", "UTC"), ("application_name", "a"), ("x.y", "1")]);
        let to = settings(&[("timezone", "UTC"), ("application_name", "b")]);
        let steps: Vec<_> = from.steps_to(&to, true).collect();
        assert_eq!(steps, [("x.y", None), ("application_name", Some("b"))]);
    }

    #[test]
    fn when_in_doubt_everything_wanted_is_set() {
        let same = settings(&[("a", "1")]);
        assert_eq!(same.steps_to(&same, true).count(), 0);
        assert_eq!(same.steps_to(&same, false).collect::<Vec<_>>(), [("a", Some("1"))]);
    }

    #[test]
    fn a_difference_is_one_batch_that_ends_with_one_sync() {
        let mut requests = Vec::new();
        let mut out = Vec::new();
        let (before, wanted) = (Settings::default(), settings(&[("a", "1"), ("b", "2")]));
        let mut write = |statement| {
            requests.clear();
            let steps = before.steps_to(&wanted, true);
            write_each(statement, steps, &mut out, |request| requests.push(request)).expect("it fits");
            requests.clone()
        };
        use Request::{Bind, Close, Execute, Parse, Sync};
        assert_eq!(write(UNNAMED), [Parse, Bind, Execute, Bind, Execute, Sync]);
        // A name must be free for the next time.
        assert_eq!(write(OURS), [Parse, Bind, Execute, Bind, Execute, Close, Sync]);
    }

    #[test]
    fn the_last_of_two_values_wins() {
        let both = settings(&[("a", "1"), ("A", "2")]);
        assert_eq!(both.get("a"), Some("2"));
    }
}

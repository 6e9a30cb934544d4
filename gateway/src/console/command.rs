//! What an operator can say, and who may say it.

mod subject;
mod verb;

pub use subject::Subject;
pub use verb::Verb;

use super::failure::Failure;
use super::statement::Token;
use config::ConsoleRole;
use pgwire::SqlState;
use std::fmt;

/// One statement, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `SHOW`; a route's with the tenant's name.
    Show(Subject, Option<String>),
    /// `SHOW` of a session's parameter, as drivers ask for it.
    Parameter(&'static str, &'static str),
    /// A verb, and what it is about; everything without.
    Control(Verb, Option<String>),
    /// A change to the gateway's settings.
    Configure,
    /// Something that drivers say and that means nothing here, with the tag to answer.
    Ignore(&'static str),
    /// `BEGIN`: nothing is undone by its end, but drivers insist.
    Begin,
    /// `COMMIT` or `ROLLBACK`, with the tag to answer.
    End(&'static str),
}

/// What a session is said to have, for drivers that look.
const PARAMETERS: [(&str, &str); 9] = [
    ("client_encoding", "UTF8"),
    ("default_transaction_isolation", "read committed"),
    ("standard_conforming_strings", "on"),
    ("datestyle", "ISO"),
    ("timezone", "GMT"),
    ("server_encoding", "UTF8"),
    ("server_version", super::session::SERVER_VERSION),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
];

/// Settings of a PostgreSQL session that drivers set without being asked. They mean nothing here.
const SETTABLE: [&str; 14] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "intervalstyle",
    "lock_timeout",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
];

impl Command {
    /// The least that somebody must be to say it.
    #[must_use]
    pub const fn needs(&self) -> ConsoleRole {
        match self {
            Self::Show(..) | Self::Parameter(..) | Self::Ignore(_) | Self::Begin | Self::End(_) => {
                ConsoleRole::Stats
            }
            Self::Control(..) | Self::Configure => ConsoleRole::Admin,
        }
    }

    /// Understands one statement.
    ///
    /// # Errors
    /// It is none of ours.
    pub(super) fn parse(tokens: &[Token]) -> Result<Self, Failure> {
        let Some((first, rest)) = tokens.split_first() else { return Err(unknown(tokens)) };
        if first.is("show") {
            return show(tokens, rest);
        }
        if let Some(verb) = Verb::ALL.into_iter().find(|verb| first.is(verb.word())) {
            return control(tokens, verb, rest);
        }
        let second = rest.first();
        match second {
            _ if first.is("set") => set(tokens, rest),
            Some(what) if first.is("reset") || first.is("discard") || first.is("deallocate") => {
                let tag = if first.is("reset") {
                    "RESET"
                } else if first.is("discard") {
                    "DISCARD ALL"
                } else {
                    "DEALLOCATE"
                };
                if what.text().is_some() { Ok(Self::Ignore(tag)) } else { Err(unknown(tokens)) }
            }
            _ if first.is("begin") => Ok(Self::Begin),
            Some(word) if first.is("start") && word.is("transaction") => Ok(Self::Begin),
            _ if first.is("commit") || first.is("end") => Ok(Self::End("COMMIT")),
            _ if first.is("rollback") || first.is("abort") => Ok(Self::End("ROLLBACK")),
            _ => Err(unknown(tokens)),
        }
    }
}

fn show(tokens: &[Token], rest: &[Token]) -> Result<Command, Failure> {
    let parameter = |name: &str| PARAMETERS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    match rest {
        [what] => {
            let Some(name) = what.text() else { return Err(unknown(tokens)) };
            match Subject::ALL.into_iter().find(|subject| subject.word().eq_ignore_ascii_case(name)) {
                Some(Subject::Route) => Err(Failure::syntax("SHOW ROUTE needs a tenant")),
                Some(subject) => Ok(Command::Show(subject, None)),
                None => parameter(name)
                    .map(|(name, value)| Command::Parameter(name, value))
                    .ok_or_else(|| unknown(tokens)),
            }
        }
        [what, tenant] if what.is(Subject::Route.word()) => match tenant.text() {
            Some(tenant) => Ok(Command::Show(Subject::Route, Some(tenant.to_owned()))),
            None => Err(unknown(tokens)),
        },
        [transaction, isolation, level]
            if transaction.is("transaction") && isolation.is("isolation") && level.is("level") =>
        {
            Ok(Command::Parameter("transaction_isolation", "read committed"))
        }
        _ => Err(unknown(tokens)),
    }
}

fn control(tokens: &[Token], verb: Verb, rest: &[Token]) -> Result<Command, Failure> {
    let target = match rest {
        [] => None,
        [target] => Some(target.text().ok_or_else(|| unknown(tokens))?.to_owned()),
        _ => return Err(unknown(tokens)),
    };
    match (verb, &target) {
        (Verb::Enable | Verb::Disable, None) => Err(Failure::syntax("a tenant is required")),
        (Verb::KillClient, None) => {
            Err(Failure::syntax("a client's id is required").hint("SHOW CLIENTS has them in its column id"))
        }
        _ => Ok(Command::Control(verb, target)),
    }
}

/// `SET [SESSION | LOCAL] name = value`, `… TO …`, `SET NAMES 'x'`, `SET TIME ZONE 'x'`, `SET SESSION CHARACTERISTICS …`.
fn set(tokens: &[Token], rest: &[Token]) -> Result<Command, Failure> {
    let rest = match rest {
        [scope, rest @ ..] if scope.is("session") || scope.is("local") => rest,
        rest => rest,
    };
    match rest {
        [first, _, ..] if ["names", "characteristics", "transaction"].iter().any(|word| first.is(word)) => {
            Ok(Command::Ignore("SET"))
        }
        [time, zone, _, ..] if time.is("time") && zone.is("zone") => Ok(Command::Ignore("SET")),
        [name, to, _, ..] if to.is("to") || *to == Token::Symbol('=') => match name.text() {
            Some(name) if SETTABLE.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                Ok(Command::Ignore("SET"))
            }
            Some(_) => Ok(Command::Configure),
            None => Err(unknown(tokens)),
        },
        _ => Err(unknown(tokens)),
    }
}

fn unknown(tokens: &[Token]) -> Failure {
    /// As much of a statement as a message repeats.
    const SHOWN_CHARS: usize = 60;
    let text: String = Written(tokens).to_string().chars().take(SHOWN_CHARS).collect();
    Failure::syntax(format!("invalid command '{text}'"))
}

/// `SET` of something of ours.
pub(super) fn not_configurable() -> Failure {
    Failure::new(SqlState::FEATURE_NOT_SUPPORTED, "the gateway's settings cannot be changed while it runs")
        .hint("change its configuration, and restart it")
}

/// Tokens as text again.
struct Written<'a>(&'a [Token]);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, token) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            match token {
                Token::Word(word) => write!(f, "{space}{word}")?,
                Token::Name(name) => write!(f, "{space}\"{name}\"")?,
                Token::Text(_) => write!(f, "{space}'…'")?,
                Token::Symbol(symbol) => write!(f, "{space}{symbol}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

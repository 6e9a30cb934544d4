//! The operators' console: the database `tenantry` on the gateway's PostgreSQL listener.

use crate::section::Section;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tenancy::Secret;

/// What every SCRAM verifier begins with, as PostgreSQL stores them.
const VERIFIER_PREFIX: &str = "SCRAM-SHA-256$";

/// PostgreSQL's own bound on a name (`NAMEDATALEN - 1`), which drivers may count on.
const NAME_BYTES_MAX: usize = 63;

/// Who may use the console, and how much of it.
#[derive(Debug, Clone, Serialize)]
pub struct ConsoleConfig {
    /// `console.users`: who may log in, nobody. With nobody the console is off.
    pub users: Vec<ConsoleUser>,
    /// `console.session_limit`: sessions at once, 16. Each exporter holds one, each person one; too few and
    /// somebody is locked out in an emergency, and no more than a few kilobytes are saved.
    pub session_limit: u32,
    /// `console.idle_timeout_ms`: a session that says nothing for so long ends, milliseconds, 3,600,000.
    /// Too short and an exporter logs in for every scrape, which costs a password's hashing on its side.
    pub idle_timeout_ms: u64,
    /// `console.pause_timeout_ms`: how long a client of a paused tenant waits to be resumed, milliseconds,
    /// 120,000, as long as PgBouncer's `query_wait_timeout`. Too short and a restart of a server during a
    /// pause is seen by clients; too long and they hang when somebody forgets to resume.
    pub pause_timeout_ms: u64,
}

/// One who may log in at the console.
#[derive(Debug, Clone, Serialize)]
pub struct ConsoleUser {
    /// `name`, 1 to 63 bytes.
    pub name: String,
    /// `role`: `admin` or `stats`.
    pub role: ConsoleRole,
    /// `verifier` or `password_file`.
    #[serde(skip)]
    pub login: ConsoleLogin,
}

/// What somebody may do at the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleRole {
    /// `stats`: look.
    Stats,
    /// `admin`: everything.
    Admin,
}

/// How somebody's password is recognised.
#[derive(Debug, Clone)]
pub enum ConsoleLogin {
    /// `verifier`: a SCRAM verifier, as `tenantry console hash-password` prints it.
    Verifier(Secret),
    /// `password_file`: a file that holds the password on its only line.
    Password(Secret),
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be \"admin\" or \"stats\"")]
pub struct UnknownRole;

impl FromStr for ConsoleRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "stats" => Ok(Self::Stats),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRole),
        }
    }
}

impl ConsoleRole {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for ConsoleRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { users: Vec::new(), session_limit: 16, idle_timeout_ms: 3_600_000, pause_timeout_ms: 120_000 }
    }
}

impl ConsoleConfig {
    /// [`Self::idle_timeout_ms`] as a duration.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// [`Self::pause_timeout_ms`] as a duration.
    #[must_use]
    pub const fn pause_timeout(&self) -> Duration {
        Duration::from_millis(self.pause_timeout_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let users: Vec<ConsoleUser> = section.list("users", read_user).into_iter().flatten().collect();
        let twice = users
            .iter()
            .enumerate()
            .find(|(index, user)| users.iter().take(*index).any(|earlier| earlier.name == user.name));
        if let Some((_, user)) = twice {
            section.problem("users", format!("names {} more than once", user.name));
        }
        let console = Self {
            users,
            session_limit: section.number("session_limit", defaults.session_limit, &(1..=1_000)),
            idle_timeout_ms: section.number(
                "idle_timeout_ms",
                defaults.idle_timeout_ms,
                &(1_000..=86_400_000),
            ),
            pause_timeout_ms: section.number(
                "pause_timeout_ms",
                defaults.pause_timeout_ms,
                &(0..=86_400_000),
            ),
        };
        section.finish();
        console
    }
}

fn read_user(mut section: Section<'_>) -> Option<ConsoleUser> {
    let is_named = section.gives("name");
    let name: String = section.required("name", String::new());
    if is_named && (name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control)) {
        section.problem("name", "must be 1 to 63 bytes of text without control characters");
    }
    let role = section.required("role", ConsoleRole::Stats);
    let login = read_login(&mut section);
    section.finish();
    Some(ConsoleUser { name, role, login: login? })
}

fn read_login(section: &mut Section<'_>) -> Option<ConsoleLogin> {
    if section.discard("password") {
        section.problem("password", "does not stand in this file: use verifier or password_file");
    }
    match (section.gives("verifier"), section.gives("password_file")) {
        (true, false) => {
            let verifier: String = section.optional("verifier")?;
            if !verifier.starts_with(VERIFIER_PREFIX) {
                section.problem("verifier", "is none: tenantry console hash-password makes one");
                return None;
            }
            Some(ConsoleLogin::Verifier(Secret::new(verifier)))
        }
        (false, true) => {
            let path: PathBuf = section.optional("password_file")?;
            match crate::master_key::read_secret_file(&path) {
                Ok(password) => Some(ConsoleLogin::Password(password)),
                Err(why) => {
                    section.problem("password_file", why.to_string());
                    None
                }
            }
        }
        (both, _) => {
            section.discard("verifier");
            section.discard("password_file");
            let message = if both {
                "is given beside password_file: keep one"
            } else {
                "is missing, and so is password_file: give one"
            };
            section.problem("verifier", message);
            None
        }
    }
}

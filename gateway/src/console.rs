//! The operators' console: SQL-like commands on the database `tenantry` of the PostgreSQL listener.
//!
//! ```text
//! startup ─► login (users of its own) ─► session ─► statement ─► command ─┬─► show: a table, row by row
//!                                                                         └─► control: pause, resume, kill, …
//! ```
//!
//! Words and columns are PgBouncer's where it has them, so that its exporters and people's fingers work.
//! It is a way of its own from the startup packet on: no tenant can have its name, its users are not a
//! tenant's, and nothing that fails here is tried anywhere else.
//!
//! The console must never: show a secret; let a role do more than [`command::Command::needs`] says; slow
//! tenants down (it takes no lock that they wait for); or hold more rows in memory than it is about to send.

pub mod averages;
pub mod command;
mod control;
mod extended;
mod failure;
pub mod login;
mod rows;
mod session;
mod show;
mod statement;

pub use login::Operator;
pub use session::run;

use crate::metrics::usage::Counter;
use averages::Averages;
use config::{ConsoleConfig, ConsoleLogin, ConsoleRole};
use pgwire::scram::{ScramError, Verifier};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The database that means the console. No tenant can have this name: see `tenancy::name::RESERVED_SLUGS`.
pub const DATABASE: &str = "tenantry";

/// Who may log in, and what all sessions share.
pub struct Console {
    users: Vec<User>,
    /// Places for sessions.
    places: Arc<Semaphore>,
    session_limit: u32,
    /// Statements that were carried out or refused.
    pub commands: Counter,
    /// Numbers of the last minute or two.
    pub averages: Averages,
}

struct User {
    name: String,
    role: ConsoleRole,
    verifier: Verifier,
}

/// Why the console's users cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the verifier of the console's user {user} cannot be used")]
pub struct ConsoleError {
    user: String,
    #[source]
    source: ScramError,
}

impl Console {
    /// The console as configured. Hashes the passwords that are given in clear.
    ///
    /// # Errors
    /// A verifier is none, or the system has no randomness to give.
    pub fn new(config: &ConsoleConfig) -> Result<Self, ConsoleError> {
        let users = config.users.iter().map(|user| {
            let verifier = match &user.login {
                ConsoleLogin::Verifier(text) => Verifier::parse(text.expose()),
                ConsoleLogin::Password(password) => Verifier::generate(password),
            };
            let failed = |source| ConsoleError { user: user.name.clone(), source };
            Ok(User { name: user.name.clone(), role: user.role, verifier: verifier.map_err(failed)? })
        });
        Ok(Self {
            users: users.collect::<Result<_, _>>()?,
            places: Arc::new(Semaphore::new(usize::try_from(config.session_limit).unwrap_or(usize::MAX))),
            session_limit: config.session_limit,
            commands: Counter::default(),
            averages: Averages::default(),
        })
    }

    /// Can anybody log in?
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.users.is_empty()
    }

    /// Sessions now.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.session_limit.saturating_sub(free)
    }

    fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

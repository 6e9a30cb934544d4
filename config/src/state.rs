//! What clients in transaction mode may leave behind in their sessions.

use crate::section::Section;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// What is done about one kind of session state that cannot follow its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatePolicy {
    /// The client keeps its server connection until the state is gone.
    #[default]
    Pin,
    /// The statement is refused before any of it reaches the server.
    Refuse,
}

impl FromStr for StatePolicy {
    type Err = UnknownPolicy;
    fn from_str(word: &str) -> Result<Self, UnknownPolicy> {
        match word {
            "pin" => Ok(Self::Pin),
            "refuse" => Ok(Self::Refuse),
            _ => Err(UnknownPolicy),
        }
    }
}

/// Neither of the two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be \"pin\" or \"refuse\"")
    }
}

/// One policy a kind, all of them `pin` if nobody says otherwise. Pinning keeps PostgreSQL's meaning and costs
/// a connection for as long as the state lasts; refusing keeps connections shared and breaks the clients that
/// need the state. Clients in session mode are not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StateConfig {
    /// `state.setting`: settings that cannot be set again on another connection.
    pub setting: StatePolicy,
    /// `state.role`: SET ROLE and SET SESSION AUTHORIZATION.
    pub role: StatePolicy,
    /// `state.listen`: LISTEN.
    pub listen: StatePolicy,
    /// `state.prepare`: PREPARE in SQL. Statements prepared by the protocol are never refused.
    pub prepare: StatePolicy,
    /// `state.temporary`: temporary tables, views, sequences and functions.
    pub temporary: StatePolicy,
    /// `state.hold_cursor`: cursors WITH HOLD.
    pub hold_cursor: StatePolicy,
    /// `state.advisory_lock`: advisory locks of the session. Those of a transaction are never refused.
    pub advisory_lock: StatePolicy,
    /// `state.library`: LOAD.
    pub library: StatePolicy,
    /// `state.unknown`: what cannot be read, such as DO. `pin` runs it and closes the connection after its
    /// transaction.
    pub unknown: StatePolicy,
}

impl StateConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let mut policy = |key| section.text(key, StatePolicy::Pin);
        let state = Self {
            setting: policy("setting"),
            role: policy("role"),
            listen: policy("listen"),
            prepare: policy("prepare"),
            temporary: policy("temporary"),
            hold_cursor: policy("hold_cursor"),
            advisory_lock: policy("advisory_lock"),
            library: policy("library"),
            unknown: policy("unknown"),
        };
        section.finish();
        state
    }
}

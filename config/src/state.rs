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

/// What is done about LISTEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenPolicy {
    /// One server connection a pool listens for all clients.
    #[default]
    Share,
    /// The client keeps its server connection until it listens no more.
    Pin,
    /// The statement is refused before any of it reaches the server.
    Refuse,
}

impl FromStr for ListenPolicy {
    type Err = UnknownListenPolicy;
    fn from_str(word: &str) -> Result<Self, UnknownListenPolicy> {
        match word {
            "share" => Ok(Self::Share),
            "pin" => Ok(Self::Pin),
            "refuse" => Ok(Self::Refuse),
            _ => Err(UnknownListenPolicy),
        }
    }
}

/// None of the three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownListenPolicy;

impl fmt::Display for UnknownListenPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be \"share\", \"pin\" or \"refuse\"")
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

/// One policy a kind, `pin` if nobody says otherwise, but `share` for LISTEN. Pinning keeps PostgreSQL's meaning and costs
/// a connection for as long as the state lasts; refusing keeps connections shared and breaks the clients that
/// need the state. Clients in session mode are not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateConfig {
    /// `state.setting`: settings that cannot be set again on another connection.
    pub setting: StatePolicy,
    /// `state.role`: SET ROLE and SET SESSION AUTHORIZATION.
    pub role: StatePolicy,
    /// `state.listen`: LISTEN, `share`.
    pub listen: ListenPolicy,
    /// `state.listen_channels_max`: channels that one client may share, 256. It keeps a connection for more.
    pub listen_channels_max: usize,
    /// `state.listen_queue_bytes_max`: notifications that wait for one client, bytes, 1,048,576. They wait while its
    /// transaction is open or it does not read; with one more than fits it is sent away.
    pub listen_queue_bytes_max: usize,
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

impl Default for StateConfig {
    fn default() -> Self {
        let pin = StatePolicy::Pin;
        Self {
            setting: pin,
            role: pin,
            listen: ListenPolicy::Share,
            listen_channels_max: 256,
            listen_queue_bytes_max: 1024 * 1024,
            prepare: pin,
            temporary: pin,
            hold_cursor: pin,
            advisory_lock: pin,
            library: pin,
            unknown: pin,
        }
    }
}

impl StateConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let listen = section.text("listen", defaults.listen);
        let listen_channels_max =
            section.number("listen_channels_max", defaults.listen_channels_max, &(1..=10_000));
        let listen_queue_bytes_max = section.number(
            "listen_queue_bytes_max",
            defaults.listen_queue_bytes_max,
            &(16 * 1024..=1024 * 1024 * 1024),
        );
        let mut policy = |key| section.text(key, StatePolicy::Pin);
        let state = Self {
            setting: policy("setting"),
            role: policy("role"),
            listen,
            listen_channels_max,
            listen_queue_bytes_max,
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

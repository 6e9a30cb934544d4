//! What belongs to a client, whichever connection it has.

use crate::admit::feature::Usable;
use crate::admit::rate::Meter;
use crate::connect::ServerConnection;
use crate::relay::buffer::Flow;
use crate::relay::effects::Effects;
use crate::relay::handover::ClientId;
use crate::relay::ledger::Ledger;
use crate::relay::notify::Listening;
use crate::relay::pin::PinReason;
use crate::relay::policy::Policy;
use crate::relay::prepared::ClientStatements;
use crate::relay::settings::{self, Settings};
use crate::relay::welcome::Welcome;
use pgwire::WriteError;
use std::sync::Arc;
use tenancy::PoolMode;

/// What a client owns beyond any one connection.
pub struct ClientState {
    /// Who it is to connections.
    pub id: ClientId,
    /// Its prepared statements.
    pub statements: ClientStatements,
    /// The settings that its session has now.
    pub settings: Arc<Settings>,
    /// The settings that it began with and that `DISCARD ALL` brings back, and what it was told of them.
    pub welcome: Arc<Welcome>,
    /// Why it keeps its connection, if it does.
    pub pin: Option<PinReason>,
    /// How long it keeps its connection without a reason.
    pub pool_mode: PoolMode,
    /// What its session has on that connection.
    pub kept: Effects,
    /// What it listens to without a connection of its own.
    pub listening: Option<Box<Listening>>,
    /// The number of the server's process, as far as the client knows: that of its cancel key.
    pub process_id: i32,
    /// What its tenant may use.
    pub usable: Usable,
    /// Bounds on what one client may send and have us keep.
    pub bounds: ClientBounds,
    /// What its tenant may begin.
    pub meter: Arc<Meter>,
}

/// Bounds on one client, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ClientBounds {
    /// The largest message.
    pub message_bytes_max: usize,
    /// All its prepared statements together.
    pub prepared_bytes_max: usize,
    /// What it may not leave behind in its session.
    pub policy: Policy,
    /// What it may listen to without a connection of its own; none if it keeps one for that.
    pub listening: Option<ListeningBounds>,
}

/// Bounds on a client that listens.
#[derive(Debug, Clone, Copy)]
pub struct ListeningBounds {
    /// Channels at once.
    pub channels_max: usize,
    /// Bytes of notifications that wait for it.
    pub queue_bytes_max: usize,
}

impl ClientState {
    /// The client has its connection for the whole session: names and state are as on any server.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.pool_mode == PoolMode::Session
    }

    /// Does its session begin transactions that may only read, because it wishes so?
    #[must_use]
    pub fn begins_to_read(&self) -> bool {
        // As PostgreSQL reads a boolean, but for its shortest forms.
        let is_on = |value: &str| ["on", "true", "yes", "1"].iter().any(|on| value.eq_ignore_ascii_case(on));
        self.settings.get("default_transaction_read_only").is_some_and(is_on)
    }

    /// Has the connection take over its settings: see [`settings::stage_steps`].
    ///
    /// # Errors
    /// A setting that does not fit the protocol.
    pub fn set_settings(
        &self,
        server: &mut ServerConnection,
        up: &mut Flow,
        ledger: &mut Ledger,
    ) -> Result<u64, WriteError> {
        let statement = if self.is_native() { settings::OURS } else { settings::UNNAMED };
        settings::stage_steps(statement, server, &self.settings, up, ledger)
    }
}

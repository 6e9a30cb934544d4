//! What an exchange begins a connection with, and what it forgets of the one before.

use super::{ClientState, Discard, Exchange};
use crate::admit::rate::toll::Toll;
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::client_side::bound::Bound;
use crate::relay::deadlines::Pace;
use crate::relay::handover;
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::notify::channels::Channels;
use pgwire::WriteError;
use pgwire::backend::TransactionStatus;
use pgwire::frontend::{STATEMENT, write};
use std::sync::Arc;

impl Exchange {
    pub(super) fn reset(&mut self) {
        self.up.reset();
        self.down.reset();
        self.ledger.reset();
        (self.unnamed_on_server, self.doubtful) = (false, false);
        (self.server_is_leaving, self.has_begun, self.is_flushed) = (false, false, false);
        (self.resetting, self.restage, self.suspects_schema) = (false, false, false);
        self.client_has_ended = false;
        self.forget_changes();
        self.discard = Discard::None;
        self.status = TransactionStatus::Idle;
        self.pace = Pace::default();
        self.forget_names();
        self.recorded.reset();
        self.toll = Toll::default();
    }

    /// Nothing was changed yet.
    fn forget_changes(&mut self) {
        self.changes.clear();
        self.channels = Channels::default();
        self.bound = Bound::default();
        self.before_reset = None;
        self.asked = None;
    }

    /// Nothing is known of names that mean something of their own.
    fn forget_names(&mut self) {
        (self.names_changed, self.schema_changed, self.deallocates_for_client) = (false, false, false);
    }

    /// A connection was leased: sets the client's settings and forgets what was true of the last one.
    ///
    /// # Errors
    /// A setting that does not fit the protocol.
    pub fn begin(&mut self, lease: &mut Lease, client: &ClientState) -> Result<(), Refusal> {
        self.unnamed_on_server = false;
        self.status = TransactionStatus::Idle;
        self.has_begun = false;
        self.forget_changes();
        self.channels = Channels::begin(client);
        self.server_is_leaving = false;
        (self.resetting, self.restage) = (false, false);
        self.discard = Discard::None;
        self.pace = Pace::default();
        self.toll = Toll::paid();
        self.forget_names();
        self.hand_over(lease, client)?;
        let server = lease.server();
        let steps = client.set_settings(server, &mut self.up, &mut self.ledger)?;
        if steps > 0 {
            lease.pool().usage().settings_replayed.add(steps);
        }
        // Where settings are set first, what the server has then decides.
        self.doubtful = steps == 0 && !lease.server().is_readable();
        if client.is_native() {
            self.close_unnamed()?;
        }
        Ok(())
    }

    /// The unnamed statement that others, or we, have left on the connection is none of its new client's. One in
    /// session mode may name it: its names are the server's.
    fn close_unnamed(&mut self) -> Result<(), Refusal> {
        self.up.stage(|out| {
            write::close(out, STATEMENT, b"")?;
            write::sync(out);
            Ok::<_, WriteError>(())
        })?;
        self.ledger.expect(Due::of(Request::Close, Origin::Setup));
        self.ledger.expect(Due::of(Request::Sync, Origin::Setup));
        Ok(())
    }

    /// Takes away what its last client may have left on the connection unseen.
    fn hand_over(&mut self, lease: &mut Lease, client: &ClientState) -> Result<(), Refusal> {
        let (ledger, pool) = (&mut self.ledger, Arc::clone(lease.pool()));
        let expect = |due| ledger.expect(due);
        self.asked =
            self.up.stage(|out| handover::write_to(lease.server(), &pool, client.id, out, expect))?;
        Ok(())
    }
}

//! One client and one leased connection, for as long as they belong together.

use super::buffer::Flow;
use super::changes::Changes;
use super::client_side::bound::Bound;
use super::client_side::recorded::Recorded;
use super::client_side::{self, Absorbed};
use super::deadlines::{Doing, Moment, Pace};
use super::effects::Effects;
use super::handover::database::Asked;
use super::handover::{self, ClientId};
use super::ledger::{Due, Ledger, Origin, Request};
use super::notify::Listening;
use super::notify::settling::{self, Channels};
use super::pin::PinReason;
use super::policy::Policy;
use super::prepared::ClientStatements;
use super::server_side::{self, ServerFault};
use super::settings::{self, Settings};
use super::welcome::Welcome;
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::pool::Lease;
use crate::stream::ClientStream;
use pgwire::WriteError;
use pgwire::backend::TransactionStatus;
use pgwire::frontend::{STATEMENT, write};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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
    /// Bounds on what one client may send and have us keep.
    pub bounds: ClientBounds,
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

/// How an exchange ended, or paused.
#[derive(Debug)]
pub enum Outcome {
    /// The server is idle and owes nothing; the client is not pinned. The lease may be released.
    Idle,
    /// The client has left, orderly or not.
    ClientLeft,
    /// The server connection broke. `told`: the client has already received the server's last words.
    ServerLost {
        /// A fatal error of the server's was forwarded, or a message to the client is cut in half.
        told: bool,
    },
    /// The server answered something that was not due.
    OutOfSync,
    /// The client's last message cannot be accepted.
    Refused(Refusal),
}

/// Exchanges that a thread keeps for its next busy clients.
const KEPT_PER_THREAD_MAX: usize = 64;

thread_local! {
    #[allow(clippy::vec_box, reason = "an exchange is lent in its box, so that neither is moved or made anew")]
    static SPARE: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
}

/// An exchange borrowed from the thread's spare ones, so that an idle client holds no buffer and a busy
/// one allocates none. Goes back, emptied, when dropped.
pub struct Borrowed(Option<Box<Exchange>>);

impl Borrowed {
    /// An empty exchange.
    #[must_use]
    pub fn take() -> Self {
        Self(Some(SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl Deref for Borrowed {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        self.0.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.0.as_mut().expect("taken only by drop")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut exchange) = self.0.take() else { return };
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT_PER_THREAD_MAX {
                exchange.reset();
                spare.push(exchange);
            }
        });
    }
}

/// A `DISCARD` or `DEALLOCATE` on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// There is none.
    None,
    /// It has gone to the server.
    Sent,
    /// Something waits for its answer.
    Awaited,
}

/// The two directions between a client and a server, and the replies due.
pub struct Exchange {
    /// From the client to the server.
    pub up: Flow,
    /// From the server to the client.
    pub down: Flow,
    /// The replies that the server owes.
    pub ledger: Ledger,
    /// The server connection has the client's unnamed statement.
    pub unnamed_on_server: bool,
    /// What the server said last of its transaction.
    pub status: TransactionStatus,
    /// Something ran whose effects on the session we cannot tell.
    pub doubtful: bool,
    /// The server has said that it is about to close the connection.
    pub server_is_leaving: bool,
    /// A statement that discards prepared ones is under way.
    pub discard: Discard,
    /// Settings are being put back to the role's defaults: what the server reports of them until it is
    /// ready is not the client's wish.
    pub resetting: bool,
    /// What the current transaction changes in the session.
    pub changes: Changes,
    /// What it does to that which the client listens to.
    pub channels: Channels,
    /// What the statement bound last does once it is executed.
    pub bound: Bound,
    /// The client's settings as they were before the current transaction put all of them back.
    pub before_reset: Option<Arc<Settings>>,
    /// What the database was asked ahead of the client's first message.
    pub asked: Option<Asked>,
    /// Something of the client's has gone to the server since the connection was leased.
    pub has_begun: bool,
    /// The settings of the client's startup packet are to be set again before its next request.
    pub restage: bool,
    /// A Flush was sent since so many replies are due that the client is not read on.
    pub is_flushed: bool,
    /// The client has closed its sending side.
    pub client_has_ended: bool,
    /// What the limits of time need to know.
    pub pace: Pace,
    /// The current transaction may have given names a meaning of its own: a statement of the same text that
    /// others prepared may not be the same.
    pub names_changed: bool,
    /// The current transaction may have changed the schema.
    pub schema_changed: bool,
    /// The request under way is made again, as the schema may have changed unseen. That may be on another connection.
    pub suspects_schema: bool,
    /// A DEALLOCATE of ours is under way in place of a client's.
    pub deallocates_for_client: bool,
    /// The request under way, as long as it could be made again.
    pub recorded: Recorded,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            up: Flow::new(),
            down: Flow::new(),
            ledger: Ledger::default(),
            unnamed_on_server: false,
            status: TransactionStatus::Idle,
            doubtful: false,
            server_is_leaving: false,
            discard: Discard::None,
            resetting: false,
            changes: Changes::default(),
            channels: Channels::default(),
            bound: Bound::default(),
            before_reset: None,
            asked: None,
            has_begun: false,
            restage: false,
            is_flushed: false,
            client_has_ended: false,
            pace: Pace::default(),
            names_changed: false,
            schema_changed: false,
            suspects_schema: false,
            deallocates_for_client: false,
            recorded: Recorded::default(),
        }
    }
}

impl ClientState {
    /// The client has its connection for the whole session: names and state are as on any server.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.pool_mode == PoolMode::Session
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

impl Exchange {
    /// Notes that a statement with these effects has gone to the server.
    pub fn note_discard(&mut self, effects: Effects) {
        if effects.any_of(Effects::DISCARD) && self.discard == Discard::None {
            self.discard = Discard::Sent;
        }
    }

    fn reset(&mut self) {
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
        self.server_is_leaving = false;
        (self.resetting, self.restage) = (false, false);
        self.discard = Discard::None;
        self.pace = Pace::default();
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

    /// Nothing is under way between the two.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.ledger.is_settled()
            && self.status == TransactionStatus::Idle
            && self.up.at_boundary()
            && self.up.is_written()
            && self.down.at_boundary()
            && self.down.unread().is_empty()
    }

    /// What goes on between the two now, for the limits on it.
    pub fn moment(&mut self) -> Moment {
        let doing = if self.client_has_ended {
            Doing::Leaving
        } else if !self.ledger.is_empty() {
            if self.pace.is_overtime() { Doing::Cancelling } else { Doing::Working }
        } else if self.status != TransactionStatus::Idle || !self.ledger.is_settled() {
            Doing::IdleInTransaction
        } else {
            Doing::PinnedIdle
        };
        self.pace.moment(doing)
    }

    /// Moves bytes in both directions until the exchange ends or may pause.
    pub fn poll_relay(
        &mut self,
        cx: &mut Context<'_>,
        client_stream: &mut ClientStream,
        client: &mut ClientState,
        lease: &mut Lease,
    ) -> Poll<Outcome> {
        loop {
            let mut moved = false;
            let was_held = self.channels.is_held();
            match self.poll_up(cx, client_stream, client, lease) {
                Poll::Ready(Ok(progress)) => moved |= progress,
                Poll::Ready(Err(outcome)) => return Poll::Ready(outcome),
                Poll::Pending => {}
            }
            match self.poll_down(cx, client_stream, client, lease) {
                Poll::Ready(Ok(progress)) => moved |= progress,
                Poll::Ready(Err(outcome)) => return Poll::Ready(outcome),
                Poll::Pending => {}
            }
            if self.channels.is_untidy() {
                match settling::tidy(self) {
                    Ok(is_under_way) => moved |= is_under_way,
                    Err(error) => return Poll::Ready(Outcome::Refused(error.into())),
                }
            }
            if client.pin.is_none() && self.has_begun && self.is_at_rest() {
                return Poll::Ready(Outcome::Idle);
            }
            moved |= was_held && !self.channels.is_held();
            if !moved && !self.is_answered_now(cx, client) {
                let is_served = self.ledger.is_empty() && self.up.is_written() && self.down.is_written();
                if self.client_has_ended && is_served {
                    return Poll::Ready(Outcome::ClientLeft);
                }
                return Poll::Pending;
            }
        }
    }

    /// The pool's listener has answered, for which what the server said last was held back.
    fn is_answered_now(&self, cx: &mut Context<'_>, client: &ClientState) -> bool {
        self.channels.is_held() && self.down.is_written() && settling::poll_answered(cx, client).is_ready()
    }

    fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        client_stream: &mut ClientStream,
        client: &mut ClientState,
        lease: &mut Lease,
    ) -> Poll<Result<bool, Outcome>> {
        let mut moved = false;
        if self.up.is_written() {
            match client_side::absorb(self, client, lease) {
                Ok(Absorbed::All) => {}
                Ok(Absorbed::Goodbye) => return Poll::Ready(Err(Outcome::ClientLeft)),
                Err(refusal) => return Poll::Ready(Err(Outcome::Refused(refusal))),
            }
        }
        if !self.up.is_written() {
            match self.up.poll_flush(cx, lease.server().stream()) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(_broken)) => {
                    // Its last words, if any, are still to be read.
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.up.may_fill() && !self.client_has_ended {
            match self.up.poll_fill(cx, Pin::new(client_stream)) {
                Poll::Ready(Ok(1..)) => moved = true,
                // It may want to read what it has asked for.
                Poll::Ready(Ok(0)) if !self.ledger.is_empty() => self.client_has_ended = true,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Outcome::ClientLeft)),
                Poll::Pending => {}
            }
        }
        Poll::Ready(Ok(moved))
    }

    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        client_stream: &mut ClientStream,
        client: &mut ClientState,
        lease: &mut Lease,
    ) -> Poll<Result<bool, Outcome>> {
        let mut moved = false;
        if !self.down.is_written() {
            match self.down.poll_flush(cx, Pin::new(client_stream)) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(_broken)) => return Poll::Ready(Err(Outcome::ClientLeft)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.down.may_fill() {
            match self.down.poll_fill(cx, lease.server().stream()) {
                Poll::Ready(Ok(1..)) => moved = true,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(self.server_lost())),
                Poll::Pending => {}
            }
        }
        match server_side::absorb(self, client, lease) {
            Ok(()) => Poll::Ready(Ok(moved)),
            Err(ServerFault::OutOfSync) => Poll::Ready(Err(Outcome::OutOfSync)),
            Err(ServerFault::Lost) => Poll::Ready(Err(self.server_lost())),
        }
    }

    fn server_lost(&self) -> Outcome {
        Outcome::ServerLost { told: self.server_is_leaving || !self.down.at_boundary() }
    }
}

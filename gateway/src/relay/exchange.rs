//! One client and one leased connection, for as long as they belong together.

mod begin;
mod client_state;
mod spare;

pub use client_state::{ClientBounds, ClientState, ListeningBounds};
pub use spare::Borrowed;

use super::buffer::Flow;
use super::changes::Changes;
use super::client_side::bound::Bound;
use super::client_side::recorded::Recorded;
use super::client_side::{self, Absorbed};
use super::deadlines::{Doing, Moment, Pace};
use super::effects::Effects;
use super::handover::database::Asked;
use super::ledger::Ledger;
use super::notify::channels::Channels;
use super::notify::settling;
use super::server_side::{self, ServerFault};
use super::settings::Settings;
use crate::admit::rate::toll::Toll;
use crate::error::Refusal;
use crate::pool::Lease;
use crate::stream::ClientStream;
use pgwire::backend::TransactionStatus;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    /// The current transaction may only read, since the client wishes so.
    pub only_reads: bool,
    /// A DEALLOCATE of ours is under way in place of a client's.
    pub deallocates_for_client: bool,
    /// The request under way, as long as it could be made again.
    pub recorded: Recorded,
    /// How the client stands with its tenant's rate.
    pub toll: Toll,
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
            only_reads: false,
            deallocates_for_client: false,
            recorded: Recorded::default(),
            toll: Toll::default(),
        }
    }
}

impl Exchange {
    /// Notes that a statement with these effects has gone to the server.
    pub fn note_discard(&mut self, effects: Effects) {
        if effects.any_of(Effects::DISCARD) && self.discard == Discard::None {
            self.discard = Discard::Sent;
        }
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
            let (was_held, unread) = (self.channels.is_held(), self.down.unread().len());
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
            // What was held back may have gone, and the next be held back behind it.
            moved |= was_held && (!self.channels.is_held() || self.down.unread().len() != unread);
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

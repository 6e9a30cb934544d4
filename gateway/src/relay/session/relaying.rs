//! A client with a server connection: until it can be given back, or either side ends.

use super::farewell::FAREWELL_MAX;
use super::{Next, Session};
use crate::cancel::PassingOn;
use crate::error::Refusal;
use crate::pool::{Keeping, Lease, LongHold};
use crate::relay::deadlines::{Limit, TimeLimits};
use crate::relay::exchange::{Exchange, Outcome};
use crate::relay::handover;
use crate::relay::notify::settling;
use crate::relay::pin::PinReason;
use crate::relay::reset;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tenancy::ErrorKind;

/// Why relaying has ended.
enum Ended {
    /// By what client and server did.
    Itself(Outcome),
    /// The client has to leave, and is between two transactions, or an operator does not wait for that.
    SentAway,
    /// A limit was reached.
    TooLate(Limit),
}

impl Session {
    /// Relays until the connection can be given back, or either side ends.
    pub(super) async fn relay(&mut self, exchange: &mut Exchange, mut lease: Lease) -> Next {
        self.keep_in_session_mode(&lease);
        self.deadlines.start_anew();
        if let Err(refusal) = exchange.begin(&mut lease, &self.client) {
            self.cancel.slot().stopped();
            return Next::SendAway(refusal);
        }
        let ended = self.relay_until_done(exchange, &mut lease).await;
        let usage = lease.pool().usage();
        usage.bytes_to_server.add(exchange.up.take_bytes_written());
        usage.bytes_to_client.add(exchange.down.take_bytes_written());
        // Before the client is told anything, which may take as long as it likes.
        self.give_back(exchange, lease, &ended).await;
        self.place.client().idle();
        let refusal = match ended {
            Ended::Itself(Outcome::Idle) if !exchange.server_is_leaving => return Next::Idle,
            Ended::Itself(outcome) => match self.reason_of(outcome) {
                Reason::Nobody => return Next::Gone,
                Reason::Told => None,
                Reason::Refusal(refusal) => Some(refusal),
            },
            Ended::SentAway => Some(self.reason_to_leave()),
            Ended::TooLate(limit) => Some(limit.refusal()),
        };
        Box::pin(self.finish(exchange, refusal)).await
    }

    /// A client in session mode is pinned from its first request on.
    fn keep_in_session_mode(&mut self, lease: &Lease) {
        if self.client.is_native() && self.client.pin.is_none() {
            self.client.pin = Some(PinReason::SessionMode);
            lease.pool().usage().pinned(PinReason::SessionMode);
        }
    }

    /// A client that keeps its connection between transactions counts among those that may. While more is asked for, it
    /// goes on with what it does.
    fn keep_while_pinned(
        &self,
        cx: &mut Context<'_>,
        keeping: &mut Option<Keeping>,
        lease: &mut Lease,
    ) -> Result<(), Refusal> {
        if self.client.pin.is_none() || lease.is_long() {
            *keeping = None;
            return Ok(());
        }
        if keeping.is_none() && lease.keep_long(LongHold::Pinned).is_ok() {
            return Ok(());
        }
        let asked = keeping.get_or_insert_with(|| Keeping::ask(lease, LongHold::Pinned));
        if let Poll::Ready(answer) = Pin::new(asked).poll(cx) {
            *keeping = None;
            lease.keep_with(answer?);
        }
        Ok(())
    }

    /// Returns the connection if it is proved clean, which one of a session may have to be made first; closes it
    /// in any doubt.
    async fn give_back(&self, exchange: &mut Exchange, mut lease: Lease, ended: &Ended) {
        // Whoever waits for a listener is told, if it does not become one.
        let claim = exchange.channels.take_claim();
        // Whatever it was at work on is over.
        self.cancel.slot().answered(1);
        let no_cancel_is_under_way = self.cancel.slot().stopped();
        if !exchange.ledger.is_empty() && !exchange.server_is_leaving {
            lease.server().left_at_work();
        }
        if !no_cancel_is_under_way || exchange.server_is_leaving {
            return drop(lease);
        }
        match ended {
            Ended::Itself(Outcome::Idle) if !exchange.doubtful => match claim {
                Some(claim) => claim.fulfil(lease),
                None => lease.release(),
            },
            Ended::Itself(Outcome::ClientLeft) | Ended::SentAway | Ended::TooLate(Limit::PinnedIdle)
                if self.client.is_native() && may_be_reset(exchange, &mut lease) =>
            {
                match Box::pin(reset::discard_all(lease.server())).await {
                    Ok(()) => {
                        lease.pool().usage().session_resets.inc();
                        lease.release();
                    }
                    Err(error) => {
                        tracing::info!(tenant.id = %self.tenant.id(), %error, "a session could not be reset; its connection is closed");
                        drop(lease);
                    }
                }
            }
            Ended::Itself(_) | Ended::SentAway | Ended::TooLate(_) => drop(lease),
        }
    }

    fn reason_of(&self, outcome: Outcome) -> Reason {
        match outcome {
            Outcome::ClientLeft => Reason::Nobody,
            // The client has had the server's last words, or has them before it now.
            Outcome::Idle | Outcome::ServerLost { told: true } => Reason::Told,
            Outcome::ServerLost { told: false } => {
                let message = "the server closed the connection unexpectedly";
                Reason::Refusal(Refusal::new(ErrorKind::ServerLost, message))
            }
            Outcome::Refused(refusal) => Reason::Refusal(refusal),
            Outcome::OutOfSync => {
                self.shared.usage.out_of_sync.inc();
                tracing::error!(tenant.id = %self.tenant.id(), "a server's reply was not the one due; both connections are closed");
                let message = "the server's replies are out of sync";
                Reason::Refusal(Refusal::new(ErrorKind::Internal, message))
            }
        }
    }

    /// Ends the session: what the client is owed first, then why. A message cut in half can have
    /// nothing after it.
    pub(super) async fn finish(&mut self, exchange: &mut Exchange, refusal: Option<Refusal>) -> Next {
        let whole = exchange.down.at_boundary();
        let flushed = tokio::time::timeout(FAREWELL_MAX, self.flush(exchange)).await;
        match refusal {
            Some(refusal) if whole && matches!(flushed, Ok(Ok(()))) => Next::SendAway(refusal),
            _ => Next::Gone,
        }
    }

    async fn relay_until_done(&mut self, exchange: &mut Exchange, lease: &mut Lease) -> Ended {
        let (mut cancelling, mut keeping) = (None, None);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = self.poll_relay(cx, exchange, lease, &mut keeping) {
                    return Poll::Ready(ended);
                }
                match poll_cancelling(cx, &mut cancelling) {
                    Poll::Ready(true) => {
                        exchange.pace.cancel_arrived();
                        continue;
                    }
                    Poll::Ready(false) => return Poll::Ready(Ended::TooLate(Limit::CancelGrace)),
                    Poll::Pending => {}
                }
                let limits = TimeLimits::new(&self.shared.config.timeouts, &self.tenant.limits());
                match self.deadlines.poll(cx, limits, exchange.moment()) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(limit @ (Limit::Query | Limit::Statement)) => {
                        exchange.pace.cancelling(limit);
                        cancelling = self.cancel.cancel_running();
                    }
                    Poll::Ready(limit) => return Poll::Ready(Ended::TooLate(limit)),
                }
            }
        })
        .await
    }

    fn poll_relay(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        lease: &mut Lease,
        keeping: &mut Option<Keeping>,
    ) -> Poll<Ended> {
        if self.place.client().is_killed() {
            return Poll::Ready(Ended::SentAway);
        }
        loop {
            if let Poll::Ready(outcome) = exchange.poll_relay(cx, &mut self.stream, &mut self.client, lease) {
                return Poll::Ready(Ended::Itself(outcome));
            }
            let answers = exchange.pace.take_answers();
            if answers > 0 {
                self.cancel.slot().answered(answers);
            }
            if exchange.toll.is_held() && self.poll_held(cx, exchange).is_ready() {
                continue;
            }
            if !(exchange.is_at_rest() && exchange.down.is_written()) {
                return Poll::Pending;
            }
            if let Some(server) = lease.server().listed() {
                server.pinned(self.client.pin);
            }
            if let Err(refusal) = self.keep_while_pinned(cx, keeping, lease) {
                return Poll::Ready(Ended::Itself(Outcome::Refused(refusal)));
            }
            if self.leave.poll(cx).is_ready() && !self.may_stay() {
                return Poll::Ready(Ended::SentAway);
            }
            if self.poll_mail(cx).is_pending() {
                return Poll::Pending;
            }
            if self.has_lost_notifications().is_some() {
                return Poll::Ready(Ended::SentAway);
            }
            settling::tell(exchange, &self.client, lease);
        }
    }

    /// Ready when a client that its tenant's rate has kept waiting is to be looked at again.
    #[cold]
    fn poll_held(&self, cx: &mut Context<'_>, exchange: &mut Exchange) -> Poll<()> {
        exchange.toll.poll_held(cx, &self.client.meter, self.shared.config.limits.rate_wait())
    }
}

/// Does `DISCARD ALL` undo all that has been done on the connection?
fn may_be_reset(exchange: &Exchange, lease: &mut Lease) -> bool {
    let pool = Arc::clone(lease.pool());
    exchange.is_at_rest() && !exchange.doubtful && !handover::is_indelible(lease.server(), &pool)
}

/// What a client is told when its connection has ended.
enum Reason {
    /// There is nobody to tell.
    Nobody,
    /// It knows.
    Told,
    /// This.
    Refusal(Refusal),
}

/// Goes on with a cancel, if one is being passed on. Ready with whether the server has got it.
fn poll_cancelling(cx: &mut Context<'_>, cancelling: &mut Option<Pin<Box<PassingOn>>>) -> Poll<bool> {
    let Some(passing_on) = cancelling else { return Poll::Pending };
    let passed = passing_on.as_mut().poll(cx);
    if passed.is_ready() {
        *cancelling = None;
    }
    passed
}

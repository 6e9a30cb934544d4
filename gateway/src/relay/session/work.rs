//! A client at work: its requests, one lease after the other.

use super::{FAREWELL_MAX, Next, Session, terminated};
use crate::admit::{self, gate};
use crate::error::Refusal;
use crate::pool::checkout::POOLS_ASKED_MAX;
use crate::pool::{CheckoutError, Lease};
use crate::relay::exchange::{Exchange, Outcome};
use crate::relay::refuse::{self, Refusing};
use pgwire::backend::{TransactionStatus, write};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tenancy::ErrorKind;

impl Session {
    /// Serves what the client has sent, until it is idle.
    pub(super) async fn work(&mut self, exchange: &mut Exchange) -> Next {
        loop {
            match refuse::first_request(&mut exchange.up, &self.client) {
                Ok(refuse::First::Needs(refuse::Need::Connection)) => {
                    match self.work_with_connection(exchange).await {
                        Next::Idle if exchange.up.is_empty() => return Next::Idle,
                        Next::Idle => {}
                        other => return other,
                    }
                }
                Ok(refuse::First::Needs(refuse::Need::Ready)) => {
                    exchange.down.stage(|out| write::ready_for_query(out, TransactionStatus::Idle));
                }
                Ok(refuse::First::Needs(refuse::Need::Nothing)) => {}
                Ok(refuse::First::Goodbye) => return Next::Gone,
                Ok(refuse::First::Incomplete) => {
                    if self.flush(exchange).await.is_err() {
                        return Next::Gone;
                    }
                    if exchange.up.is_empty() {
                        return Next::Idle;
                    }
                    if let Some(next) = self.read_more(exchange).await {
                        return next;
                    }
                }
                Err(refusal) => return Next::SendAway(refusal),
            }
        }
    }

    async fn work_with_connection(&mut self, exchange: &mut Exchange) -> Next {
        let lease = match self.lease(exchange).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return Next::Gone,
            Err(refusal) if refusal.ends_session() => return Next::SendAway(refusal),
            Err(refusal) => return self.refuse_request(exchange, &refusal).await,
        };
        match self.relay(exchange, lease).await {
            Next::Idle if self.flush(exchange).await.is_err() => Next::Gone,
            next => next,
        }
    }

    /// Gets a connection. `None`: the client has left meanwhile.
    async fn lease(&mut self, exchange: &mut Exchange) -> Result<Option<Lease>, Refusal> {
        if self.flush(exchange).await.is_err() {
            return Ok(None);
        }
        admit::check_state(&self.tenant)?;
        let leased = match self.checkout_now()? {
            Some(lease) => Some(lease),
            None => self.wait_for_lease().await.inspect_err(|_refused| self.place.client().idle())?,
        };
        Ok(leased.map(|mut lease| {
            self.cancel.slot().running(lease.server().cancel_target());
            if let Some(server) = lease.server().listed() {
                server.used_by(self.place.client().id);
                self.place.client().active(server);
            }
            lease
        }))
    }

    fn checkout_now(&mut self) -> Result<Option<Lease>, Refusal> {
        if !self.may_pass() {
            return Ok(None);
        }
        // The gate may have closed before the lease was counted: then nobody waits for it to end.
        Ok(self.pool()?.checkout_now().filter(|_lease| self.may_pass()))
    }

    fn may_pass(&self) -> bool {
        self.tenant.gate().is_open() && self.shared.gate.is_open()
    }

    /// Waits in the pool's queue. Whoever waits at a pool that is retired goes to its successor.
    async fn wait_for_lease(&mut self) -> Result<Option<Lease>, Refusal> {
        let mut asked = 0;
        let wait_max = self.shared.config.console.pause_timeout();
        self.place.client().waiting();
        loop {
            let pool = Arc::clone(self.pool()?);
            let (slot, stream, client) = (self.cancel.slot(), &mut self.stream, self.place.client());
            let passed_and_leased = async {
                gate::passage(&self.tenant, &self.shared.gate, wait_max).await?;
                pool.checkout().await
            };
            slot.waiting();
            let outcome = tokio::select! {
                biased;
                lease = passed_and_leased => lease.map(Some),
                () = client.until_killed() => Err(terminated().into()),
                () = slot.cancelled() => {
                    let message = "canceling statement due to user request";
                    Err(Refusal::new(ErrorKind::Cancelled, message).into())
                }
                () = poll_fn(|cx| stream.poll_gone(cx)) => Ok(None),
            };
            slot.stopped();
            asked += 1;
            match outcome {
                Err(CheckoutError::Retired) if asked < POOLS_ASKED_MAX => {}
                Ok(Some(_lease)) if !self.may_pass() => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Relays until the connection can be given back, or either side ends.
    async fn relay(&mut self, exchange: &mut Exchange, mut lease: Lease) -> Next {
        if let Err(refusal) = exchange.begin(&mut lease, &self.client) {
            self.cancel.slot().stopped();
            return Next::SendAway(refusal);
        }
        let outcome = self.relay_until_done(exchange, &mut lease).await;
        let usage = lease.pool().usage();
        usage.bytes_to_server.add(exchange.up.take_bytes_written());
        usage.bytes_to_client.add(exchange.down.take_bytes_written());
        let is_clean = self.cancel.slot().stopped() && !exchange.doubtful && !exchange.server_is_leaving;
        match outcome {
            Some(Outcome::Idle) if is_clean => lease.release(),
            // Closed before the client is told anything, which may take as long as it likes.
            _ => drop(lease),
        }
        self.place.client().idle();
        let refusal = match outcome {
            Some(Outcome::Idle) if !exchange.server_is_leaving => return Next::Idle,
            Some(Outcome::ClientLeft) => return Next::Gone,
            // The client has had the server's last words, or has them before it now.
            Some(Outcome::Idle | Outcome::ServerLost { told: true }) => None,
            Some(Outcome::ServerLost { told: false }) => {
                let message = "the server closed the connection unexpectedly";
                Some(Refusal::new(ErrorKind::ServerLost, message))
            }
            Some(Outcome::Refused(refusal)) => Some(refusal),
            Some(Outcome::OutOfSync) => {
                self.shared.usage.out_of_sync.inc();
                tracing::error!("a server's reply was not the one due; both connections are closed");
                Some(Refusal::new(ErrorKind::Internal, "the server's replies are out of sync"))
            }
            None => Some(self.reason_to_leave()),
        };
        self.finish(exchange, refusal).await
    }

    /// Ends the session: what the client is owed first, then why. A message cut in half can have
    /// nothing after it.
    async fn finish(&mut self, exchange: &mut Exchange, refusal: Option<Refusal>) -> Next {
        let whole = exchange.down.at_boundary();
        let flushed = tokio::time::timeout(FAREWELL_MAX, self.flush(exchange)).await;
        match refusal {
            Some(refusal) if whole && matches!(flushed, Ok(Ok(()))) => Next::SendAway(refusal),
            _ => Next::Gone,
        }
    }

    /// `None`: the client has to leave, and is between two transactions.
    async fn relay_until_done(&mut self, exchange: &mut Exchange, lease: &mut Lease) -> Option<Outcome> {
        let (stream, client, leave) = (&mut self.stream, &mut self.client, &mut self.leave);
        let place = self.place.client();
        poll_fn(|cx| {
            if place.is_killed() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(outcome) = exchange.poll_relay(cx, stream, client, lease) {
                return Poll::Ready(Some(outcome));
            }
            if exchange.is_at_rest() && exchange.down.is_written() && leave.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Answers a request that gets no connection, and throws away the rest of its pipeline.
    async fn refuse_request(&mut self, exchange: &mut Exchange, refusal: &Refusal) -> Next {
        self.tenant.usage().refused(refusal.kind());
        tracing::info!(kind = refusal.kind().as_str(), "a request was refused");
        let mut refusing = Refusing::new(refusal);
        loop {
            match refusing.advance(exchange, &self.client) {
                Ok(true) => break,
                Ok(false) => {}
                Err(refusal) => return Next::SendAway(refusal),
            }
            if self.flush(exchange).await.is_err() {
                return Next::Gone;
            }
            if let Some(next) = self.read_more(exchange).await {
                return next;
            }
        }
        if self.flush(exchange).await.is_err() { Next::Gone } else { Next::Idle }
    }

    /// Reads from the client until something arrives. `Some`: the session ends.
    async fn read_more(&mut self, exchange: &mut Exchange) -> Option<Next> {
        let (stream, leave, place) = (&mut self.stream, &mut self.leave, self.place.client());
        let read = poll_fn(|cx| {
            if place.is_killed() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(read) = exchange.up.poll_fill(cx, Pin::new(stream)) {
                return Poll::Ready(Some(read));
            }
            leave.as_mut().poll(cx).map(|()| None)
        })
        .await;
        match read {
            Some(Ok(1..)) => None,
            Some(Ok(0) | Err(_)) => Some(Next::Gone),
            None => Some(Next::SendAway(self.reason_to_leave())),
        }
    }

    async fn flush(&mut self, exchange: &mut Exchange) -> io::Result<()> {
        let stream = &mut self.stream;
        poll_fn(|cx| exchange.down.poll_flush(cx, Pin::new(stream))).await?;
        self.tenant.usage().bytes_to_client.add(exchange.down.take_bytes_written());
        Ok(())
    }
}

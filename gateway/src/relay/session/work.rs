//! A client at work: its requests, one lease after the other.

use super::{Next, Session};
use crate::error::Refusal;
use crate::relay::exchange::Exchange;
use crate::relay::refuse::{self, Refusing};
use pgwire::backend::{TransactionStatus, write};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

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
            Err(refusal) => return Box::pin(self.refuse_request(exchange, &refusal)).await,
        };
        match self.relay(exchange, lease).await {
            Next::Idle if self.flush(exchange).await.is_err() => Next::Gone,
            next => next,
        }
    }

    /// Answers a request that gets no connection, and throws away the rest of its pipeline.
    async fn refuse_request(&mut self, exchange: &mut Exchange, refusal: &Refusal) -> Next {
        self.tenant.usage().refused(refusal.kind());
        tracing::info!(tenant.id = %self.tenant.id(), tenant.slug = %self.tenant.usage().label(), kind = refusal.kind().as_str(), "a request was refused");
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
        poll_fn(|cx| {
            if let Poll::Ready(read) = exchange.up.poll_fill(cx, Pin::new(&mut self.stream)) {
                return Poll::Ready(if matches!(read, Ok(1..)) { None } else { Some(Next::Gone) });
            }
            if let Poll::Ready(away) = self.poll_away(cx) {
                return Poll::Ready(Some(Next::SendAway(away)));
            }
            self.poll_idle(cx).map(|limit| Some(Next::SendAway(limit.refusal())))
        })
        .await
    }

    /// Writes what the client is owed. One that does not read has as long as one that does not write.
    pub(super) async fn flush(&mut self, exchange: &mut Exchange) -> io::Result<()> {
        poll_fn(|cx| {
            if let Poll::Ready(flushed) = exchange.down.poll_flush(cx, Pin::new(&mut self.stream)) {
                return Poll::Ready(flushed);
            }
            self.poll_idle(cx).map(|_limit| Err(io::ErrorKind::TimedOut.into()))
        })
        .await?;
        self.tenant.usage().bytes_to_client.add(exchange.down.take_bytes_written());
        Ok(())
    }
}

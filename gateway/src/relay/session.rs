//! An admitted client's life: idle, at work with a leased connection, idle again.
//!
//! An idle client holds no buffer and no connection. Its first byte gets it buffers, its first
//! request a lease; both go back when the server is idle again, unless the client is pinned.

mod begin;
mod farewell;
mod lease;
mod mail;
mod relaying;
mod work;

use super::deadlines::{Deadlines, Doing, Limit};
use super::exchange::{Borrowed, ClientState, Exchange};
use crate::admit::allow_list;
use crate::admit::{self, ClientPermit};
use crate::cancel::CancelGuard;
use crate::clients::{ClientGuard, End, Introduction, Mortal};
use crate::error::Refusal;
use crate::pool::{Asker, Pool};
use crate::resolve::Tenant;
use crate::session::Admitted;
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::summons::Summons;
use crate::workers::{self, Turns, WorkerId};
use begin::begin;
use catalog_schema::RouteRecord;
use farewell::farewell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tenancy::{Access, ErrorKind};

/// A client between admission and farewell.
struct Session {
    shared: Arc<Shared>,
    tenant: Arc<Tenant>,
    stream: ClientStream,
    client: ClientState,
    cancel: CancelGuard,
    deadlines: Deadlines,
    /// The route that `pool` belongs to.
    route: Arc<RouteRecord>,
    pool: Arc<Pool>,
    /// What the client may do: as which role its server connections were opened.
    access: Access,
    /// Whose line it waits in.
    asker: Asker,
    /// Fires when the client has to leave. Kept across waits, so that waiting costs nothing.
    leave: Summons,
    place: ClientGuard,
    turns: Turns,
    _permit: ClientPermit,
}

/// How a session goes on.
enum Next {
    /// The client is idle.
    Idle,
    /// The client has left, or there is nothing to say to it.
    Gone,
    /// The client is told why, and sent away.
    SendAway(Refusal),
}

/// Why an idle client's session goes on.
enum Woken {
    /// The client has sent something, or has left.
    ByClient,
    /// There is something to tell it.
    ByMail,
}

/// Serves a client until it leaves or is sent away.
pub async fn run(admitted: Box<Admitted>, shared: Arc<Shared>) {
    let place = shared.clients.enter(introduction(&admitted));
    admitted.tenant.usage().logins.inc();
    tracing::debug!(
        peer = %admitted.peer, tenant = %admitted.tenant.id(), subject = ?admitted.identity.subject,
        "a client has logged in"
    );
    let client = Arc::clone(place.client());
    // Only now is it among those that a change looks at: what has changed since it logged in did not see it.
    if !shared.still_opens(&client.about.tenant, &client.about.credential) {
        client.kill(End::Withdrawn);
    }
    if !allow_list::admits(&client.about.tenant.route(), client.about.peer) {
        client.kill(End::ShutOut);
    }
    Mortal::new(live(admitted, place, shared), client).await;
}

/// What operators may see of the client.
fn introduction(admitted: &Admitted) -> Introduction {
    let application = admitted.settings.iter().rev().find(|(name, _)| name == "application_name");
    Introduction {
        tenant: Arc::clone(&admitted.tenant),
        subject: Arc::clone(&admitted.identity.subject),
        application: application.map_or("", |(_, value)| value.as_str()).into(),
        peer: admitted.peer,
        local: admitted.wire.local_addr(),
        is_encrypted: admitted.wire.is_encrypted(),
        pool_mode: admitted.pool_mode,
        access: admitted.identity.access,
        credential: admitted.identity.credential.clone(),
    }
}

async fn live(admitted: Box<Admitted>, place: ClientGuard, shared: Arc<Shared>) {
    // Boxed, so that a client that waits pays for nothing that it needed only to begin.
    let Some((mut session, early)) = Box::pin(begin(admitted, place, shared)).await else { return };
    session.serve(early).await;
}

impl Session {
    async fn serve(&mut self, early: Vec<u8>) {
        let mut early = Some(early).filter(|bytes| !bytes.is_empty());
        loop {
            if early.is_none()
                && let Err(end) = self.wait_for_client().await
            {
                return Box::pin(self.end(end)).await;
            }
            let mut exchange = Borrowed::take();
            match early.take() {
                Some(bytes) => exchange.up.preload(&bytes),
                None => match self.read_what_is_there(&mut exchange).await {
                    Ok(0) => return,
                    Ok(_) => {}
                    // The wake-up was for nothing.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(_) => return,
                },
            }
            match self.work(&mut exchange).await {
                Next::Idle => {
                    drop(exchange);
                    if let Some(worker) = self.turns.served() {
                        self.move_to(worker).await;
                    }
                }
                end => return Box::pin(self.end(end)).await,
            }
        }
    }

    /// Ends it: the client is told why, if there is somebody to tell.
    async fn end(&mut self, end: Next) {
        if let Next::SendAway(refusal) = end {
            farewell(&mut self.stream, Vec::new(), &self.tenant, &refusal).await;
        }
    }

    /// Has another worker serve the client from now on.
    async fn move_to(&mut self, worker: WorkerId) {
        workers::move_to(worker).await;
        self.deadlines.forget_timer();
        if let Err(error) = self.stream.come_here() {
            tracing::debug!(%error, "a client's events still arrive on the thread that it has left");
        }
    }

    /// Waits until the client has something to say, and tells it what it is notified of meanwhile. An error is how
    /// the session ends.
    async fn wait_for_client(&mut self) -> Result<(), Next> {
        while let Woken::ByMail = self.wait().await.map_err(Next::SendAway)? {
            match Box::pin(self.deliver()).await {
                Next::Idle => {}
                end => return Err(end),
            }
        }
        Ok(())
    }

    /// Waits without a buffer. An error is why the client has to leave.
    async fn wait(&mut self) -> Result<Woken, Refusal> {
        poll_fn(|cx| {
            let away = self.poll_away(cx);
            if away.is_ready() && !self.may_still_ask() {
                return away.map(Err);
            }
            if self.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(Ok(Woken::ByClient));
            }
            if away.is_ready() {
                return away.map(Err);
            }
            if self.poll_mail(cx).is_ready() {
                return Poll::Ready(Ok(Woken::ByMail));
            }
            self.poll_idle(cx).map(|limit| Err(limit.refusal()))
        })
        .await
    }

    /// Who has asked before it could hear that the gateway stops is answered first.
    fn may_still_ask(&self) -> bool {
        self.is_only_drained() && !self.place.client().is_killed()
    }

    /// Who keeps a server connection would lose what is in its session: it may stay until the drain's time is up.
    fn may_stay(&self) -> bool {
        self.client.pin.is_some() && self.is_only_drained()
    }

    /// It has to leave because the gateway stops, and not for a reason of its tenant's.
    fn is_only_drained(&self) -> bool {
        self.shared.drain.is_cancelled() && admit::check_state(&self.tenant).is_ok()
    }

    /// Ready with the reason when a client without a server connection has to leave.
    fn poll_away(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if self.place.client().is_killed() || self.leave.poll(cx).is_ready() {
            return Poll::Ready(self.reason_to_leave());
        }
        self.has_lost_notifications().map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready when the client has done nothing, without a server connection, for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Limit> {
        self.deadlines.poll(cx, &self.shared.config.timeouts, Doing::Idle)
    }

    /// Reads what woke us, without waiting for more.
    async fn read_what_is_there(&mut self, exchange: &mut Exchange) -> io::Result<usize> {
        let stream = &mut self.stream;
        poll_fn(|cx| match exchange.up.poll_fill(cx, Pin::new(stream)) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => Poll::Ready(Err(io::ErrorKind::WouldBlock.into())),
        })
        .await
    }

    fn reason_to_leave(&self) -> Refusal {
        if self.shared.drain.is_cancelled() {
            return Refusal::draining();
        }
        if let Some(end) = self.place.client().end() {
            return end.refusal();
        }
        admit::check_state(&self.tenant)
            .err()
            .or_else(|| self.has_lost_notifications())
            .unwrap_or_else(|| Refusal::new(ErrorKind::TenantUnavailable, "the tenant's route has changed"))
    }

    /// The tenant's pool for the client's access, looked up only when its route has changed.
    fn pool(&mut self) -> Result<&Arc<Pool>, Refusal> {
        let current = self.tenant.has_route(&self.route) && !self.pool.is_retired();
        if !current {
            self.route = self.tenant.route();
            self.pool = self.shared.pools.pool_of(&self.tenant, self.access)?;
        }
        Ok(&self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Every idle client has one. What is needed rarely, or only to begin, belongs into a box of its own.
    #[test]
    fn a_session_is_small() {
        assert!(size_of_future(live) <= 1536, "{} bytes", size_of_future(live));
    }
}

//! An admitted client's life: idle, at work with a leased connection, idle again.
//!
//! An idle client holds no buffer and no connection. Its first byte gets it buffers, its first
//! request a lease; both go back when the server is idle again, unless the client is pinned.

use super::exchange::{Borrowed, ClientBounds, ClientState, Exchange, Outcome};
use super::refuse::{self, Refusing};
use super::settings::Settings;
use super::welcome::{self, Welcome};
use crate::admit::{self, ClientPermit};
use crate::app::Shared;
use crate::cancel::CancelGuard;
use crate::error::Refusal;
use crate::listen::wire::write_refusal;
use crate::pool::{Lease, Pool};
use crate::resolve::Tenant;
use crate::session::Admitted;
use catalog_schema::RouteRecord;
use pgwire::Severity;
use pgwire::backend::{TransactionStatus, write};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tenancy::ErrorKind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// A client between admission and farewell.
struct Session {
    shared: Arc<Shared>,
    tenant: Arc<Tenant>,
    stream: TcpStream,
    client: ClientState,
    cancel: CancelGuard,
    /// The route that `pool` belongs to.
    route: Arc<RouteRecord>,
    pool: Arc<Pool>,
    /// Resolves when the client has to leave. Kept across waits, so that waiting costs nothing.
    leave: Pin<Box<WaitForCancellationFutureOwned>>,
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

/// Serves a client until it leaves or is sent away.
pub async fn run(admitted: Admitted, shared: Arc<Shared>) {
    let Admitted { wire, settings, tenant, permit, .. } = admitted;
    let (mut stream, early) = wire.into_parts();
    let route = tenant.route();
    let greeted = greet(&mut stream, &shared, &tenant, Settings::new(settings)).await;
    let (pool, welcome, cancel) = match greeted {
        Ok(greeted) => greeted,
        Err(refusal) => return farewell(&mut stream, &tenant, &refusal).await,
    };
    let leave = Box::pin(tenant.leave_token().cancelled_owned());
    let client = ClientState {
        statements: Default::default(),
        settings: Arc::clone(welcome.settings()),
        startup_settings: Arc::clone(welcome.settings()),
        pin: None,
        bounds: ClientBounds {
            message_bytes_max: shared.config.limits.message_bytes_max,
            prepared_bytes_max: shared.config.limits.prepared_bytes_per_client_max,
        },
    };
    drop(welcome);
    let mut session = Session { shared, tenant, stream, client, cancel, route, pool, leave, _permit: permit };
    session.serve(early).await;
}

/// Tells the client that it is in: the server's parameters and a cancel key of ours.
async fn greet(
    stream: &mut TcpStream,
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    settings: Settings,
) -> Result<(Arc<Pool>, Arc<Welcome>, CancelGuard), Refusal> {
    let pool = shared.pools.pool_of(tenant)?;
    let welcome = welcome::welcome(&pool, settings).await?;
    let cancel = shared
        .cancels
        .register()
        .map_err(|_no_randomness| Refusal::new(ErrorKind::Internal, "no cancel key could be made"))?;
    let mut hello = Vec::with_capacity(512);
    write::authentication_ok(&mut hello);
    for (name, value) in welcome.parameters() {
        write::parameter_status(&mut hello, name.as_bytes(), value.as_bytes());
    }
    write::backend_key_data(&mut hello, cancel.key());
    write::ready_for_query(&mut hello, TransactionStatus::Idle);
    stream
        .write_all(&hello)
        .await
        .map_err(|_gone| Refusal::new(ErrorKind::ClientTimeout, "the client has left"))?;
    Ok((pool, welcome, cancel))
}

async fn farewell(stream: &mut TcpStream, tenant: &Tenant, refusal: &Refusal) {
    tenant.usage().refused(refusal.kind());
    tracing::info!(kind = refusal.kind().as_str(), "a client was sent away");
    let mut message = Vec::with_capacity(256);
    write_refusal(&mut message, refusal, Severity::Fatal);
    if stream.write_all(&message).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

impl Session {
    async fn serve(&mut self, early: Vec<u8>) {
        let mut early = Some(early).filter(|bytes| !bytes.is_empty());
        loop {
            if early.is_none() && !self.wait_for_client().await {
                let refusal = self.reason_to_leave();
                return farewell(&mut self.stream, &self.tenant, &refusal).await;
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
                Next::Idle => {}
                Next::Gone => return,
                Next::SendAway(refusal) => return farewell(&mut self.stream, &self.tenant, &refusal).await,
            }
        }
    }

    /// Waits without a buffer. `false`: the client has to leave.
    async fn wait_for_client(&mut self) -> bool {
        let (stream, leave) = (&self.stream, &mut self.leave);
        poll_fn(|cx| {
            if stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(true);
            }
            leave.as_mut().poll(cx).map(|()| false)
        })
        .await
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
            return Refusal::new(ErrorKind::Draining, "terminating connection: the gateway is shutting down")
                .hint("connect again");
        }
        admit::check_state(&self.tenant)
            .err()
            .unwrap_or_else(|| Refusal::new(ErrorKind::TenantUnavailable, "the tenant's route has changed"))
    }

    /// Serves what the client has sent, until it is idle.
    async fn work(&mut self, exchange: &mut Exchange) -> Next {
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
        let leased = match self.pool()?.checkout_now() {
            Some(lease) => Some(lease),
            None => self.wait_for_lease().await?,
        };
        Ok(leased.map(|mut lease| {
            self.cancel.slot().running(lease.server().cancel_target());
            lease
        }))
    }

    async fn wait_for_lease(&mut self) -> Result<Option<Lease>, Refusal> {
        let pool = Arc::clone(self.pool()?);
        let slot = self.cancel.slot();
        slot.waiting();
        let outcome = tokio::select! {
            biased;
            lease = pool.checkout() => lease.map(Some),
            () = slot.cancelled() => {
                Err(Refusal::new(ErrorKind::Cancelled, "canceling statement due to user request"))
            }
            () = client_gone(&self.stream) => Ok(None),
        };
        slot.stopped();
        outcome
    }

    /// The tenant's pool, looked up only when its route has changed.
    fn pool(&mut self) -> Result<&Arc<Pool>, Refusal> {
        let current = self.tenant.has_route(&self.route) && !self.pool.is_retired();
        if !current {
            self.route = self.tenant.route();
            self.pool = self.shared.pools.pool_of(&self.tenant)?;
        }
        Ok(&self.pool)
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
        let may_be_reused = self.cancel.slot().stopped() && !exchange.doubtful;
        match outcome {
            Some(Outcome::Idle) => {
                if may_be_reused {
                    lease.release();
                }
                Next::Idle
            }
            Some(Outcome::ClientLeft) => Next::Gone,
            Some(Outcome::Refused(refusal)) => Next::SendAway(refusal),
            Some(Outcome::ServerLost { told }) => {
                if told || self.flush(exchange).await.is_err() {
                    let _ = self.flush(exchange).await;
                    return Next::Gone;
                }
                Next::SendAway(Refusal::new(
                    ErrorKind::ServerLost,
                    "the server closed the connection unexpectedly",
                ))
            }
            Some(Outcome::OutOfSync) => {
                self.shared.usage.out_of_sync.inc();
                tracing::error!("a server's reply was not the one due; both connections are closed");
                Next::SendAway(Refusal::new(ErrorKind::Internal, "the server's replies are out of sync"))
            }
            None => Next::SendAway(self.reason_to_leave()),
        }
    }

    /// `None`: the client has to leave, and is between two transactions.
    async fn relay_until_done(&mut self, exchange: &mut Exchange, lease: &mut Lease) -> Option<Outcome> {
        let (stream, client, leave) = (&mut self.stream, &mut self.client, &mut self.leave);
        poll_fn(|cx| {
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
        let (stream, leave) = (&mut self.stream, &mut self.leave);
        let read = poll_fn(|cx| {
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

/// Resolves when the client closes its end. Bytes that it sends meanwhile stay in the socket, and end the
/// watch: a client that talks is there.
async fn client_gone(stream: &TcpStream) {
    let mut byte = [0_u8; 1];
    match stream.peek(&mut byte).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

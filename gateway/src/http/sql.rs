//! `POST /sql`: one request from its headers to its response.
//!
//! ```text
//! headers ─► caller ─► admit ─► body ─► request ─► script ─► lease ─► query ─► response
//! ```

use super::caller::Caller;
use super::failure::Failure;
use super::reply::{self, Reply};
use super::results::Results;
use super::script::Script;
use super::{caller, origin, query, request};
use crate::admit::{self, gate};
use crate::error::Refusal;
use crate::pool::{Asker, CheckoutError, Lease};
use crate::relay::policy::Policy;
use crate::resolve::Tenant;
use crate::shared::Shared;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use net::{ClientAddress, Lingering};
use tenancy::ErrorKind;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

/// Answers a request. `tenant_in_path` is the tenant's name in its path, if there is one; `connection` is who has opened its connection. When the client leaves, hyper drops the future and with it the lease.
pub async fn answer(
    request: Request<Lingering<Incoming>>,
    tenant_in_path: Option<&str>,
    connection: ClientAddress,
    shared: &Shared,
) -> Reply {
    let id = Uuid::new_v4();
    let deadline = Instant::now() + shared.config.limits.http_request_timeout();
    let (parts, body) = request.into_parts();
    let peer = match origin::client_of(&parts.headers, connection, shared) {
        Ok(peer) => peer,
        Err(refusal) => return reply::on_sql(refused(refusal.into(), None, shared), id),
    };
    let span = tracing::info_span!(
        "sql", request.id = %id, %peer, tenant.id = tracing::field::Empty, tenant.slug = tracing::field::Empty,
        subject = tracing::field::Empty
    );
    let answered = async {
        let caller = timeout_at(deadline, caller::identify(&parts, tenant_in_path, shared));
        let caller = match caller.await.unwrap_or_else(|_elapsed| Err(too_slow())) {
            Ok(caller) => caller,
            Err(refusal) => return refused(refusal.into(), None, shared),
        };
        let current = tracing::Span::current();
        current.record("tenant.id", tracing::field::display(caller.tenant.id()));
        current.record("tenant.slug", &*caller.tenant.usage().label());
        current.record("subject", &*caller.identity.subject);
        match work(&parts, body, &caller, deadline, shared).await {
            Ok(reply) => reply,
            Err(failure) => refused(failure, Some(&caller.tenant), shared),
        }
    };
    reply::on_sql(answered.instrument(span).await, id)
}

/// Says that this gateway is about to end. Nothing of the request is looked at.
pub fn turn_away(request: Request<Lingering<Incoming>>, shared: &Shared) -> Reply {
    drop(request);
    reply::on_sql(refused(Refusal::draining().into(), None, shared), Uuid::new_v4())
}

async fn work(
    parts: &Parts,
    body: Lingering<Incoming>,
    caller: &Caller,
    deadline: Instant,
    shared: &Shared,
) -> Result<Reply, Failure> {
    let (limits, tenant) = (&shared.config.limits, &caller.tenant);
    let permit = admit::admit(tenant, &shared.routes)?;
    let body = timeout_at(deadline, read(body, limits.http_body_bytes_max))
        .await
        .unwrap_or_else(|_elapsed| Err(too_slow()))?;
    still_let_in(caller, shared)?;
    let work = request::parse(&parts.headers, &body)?;
    let script = Script::new(&work)?;
    if let Some(refusal) = Policy::new(&shared.config.state).refusal(script.effects()) {
        return Err(refusal.into());
    }
    let modes = work.statements.iter().map(|statement| statement.mode).collect();
    let results = Results::new(work.transaction.is_some(), modes, limits.http_response_bytes_max);
    let transaction = work.transaction;
    drop(work);
    drop(body);
    let cut_off = tenant.gate().cut_off();
    let run = async {
        let lease = leased(caller, shared).await?;
        query::run(lease, &script, results, &shared.usage).await
    };
    let body = tokio::select! {
        ran = timeout_at(deadline, run) => ran.unwrap_or_else(|_elapsed| Err(cancelled().into()))?,
        () = cut_off => return Err(terminated().into()),
    };
    let mut reply = reply::json_of(StatusCode::OK, body, permit);
    if let Some(transaction) = transaction {
        transaction.echo(reply.headers_mut());
    }
    Ok(reply)
}

/// A connection, once no operator keeps the tenant waiting.
async fn leased(caller: &Caller, shared: &Shared) -> Result<Lease, Refusal> {
    let (tenant, access) = (&caller.tenant, caller.identity.access);
    let wait_max = shared.config.console.pause_timeout();
    loop {
        gate::passage(tenant, &shared.gate, wait_max).await?;
        match shared.pools.checkout(tenant, access, Asker::REQUESTS).await {
            Ok(lease) if lease.access() != access => return Err(lease.of_another_access()),
            Ok(lease) if tenant.gate().is_open() && shared.gate.is_open() => {
                still_let_in(caller, shared)?;
                return Ok(lease);
            }
            Ok(_) | Err(CheckoutError::HeldBack) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Both the body and the lease may have been waited for: what was withdrawn meanwhile runs nothing any more.
fn still_let_in(caller: &Caller, shared: &Shared) -> Result<(), Refusal> {
    if shared.still_opens(&caller.tenant, &caller.identity.credential) {
        return Ok(());
    }
    Err(Refusal::new(ErrorKind::Unauthenticated, "the credential was revoked or has expired")
        .hint("send the request again with one that is good"))
}

/// Reads a body of bounded size. One that announces more is refused before it is sent.
async fn read(body: Lingering<Incoming>, bytes_max: usize) -> Result<Bytes, Refusal> {
    let too_large = || {
        Refusal::new(ErrorKind::TooLarge, format!("request is too large (max is {bytes_max} bytes)"))
            .hint("send fewer statements at a time, or use the PostgreSQL protocol")
    };
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_broken) => Err(Refusal::protocol("the request's body broke off")),
    }
}

/// Counts and logs a failure, and puts it into words. PostgreSQL's own answers are not ours to log.
fn refused(failure: Failure, tenant: Option<&Tenant>, shared: &Shared) -> Reply {
    let kind = failure.kind();
    if let Some(kind) = kind {
        match tenant {
            Some(tenant) => tenant.usage().refused(kind),
            None => shared.usage.refusals.refused(kind),
        }
        tracing::info!(kind = kind.as_str(), "a request was refused");
    }
    let (status, retry_after) = (failure.status(), failure.retry_after());
    reply::error(status, &failure.into_body(), retry_after)
}

fn too_slow() -> Refusal {
    Refusal::new(ErrorKind::ClientTimeout, "the request took too long to arrive")
}

fn terminated() -> Refusal {
    Refusal::new(ErrorKind::Terminated, "terminating connection due to administrator command")
}

fn cancelled() -> Refusal {
    Refusal::new(ErrorKind::Cancelled, "canceling statement due to the request's time limit")
        .hint("use the PostgreSQL protocol for statements that take long")
}

//! `POST /sql`: one request from its headers to its response.
//!
//! ```text
//! headers ─► caller ─► admit ─► body ─► request ─► script ─► lease ─► query ─┬─► response, whole
//!                                                                            └─► response ─► pour
//! ```

use super::caller::Caller;
use super::failure::Failure;
use super::negotiate::{Encoding, Format};
use super::pour::{self, Watch};
use super::query::{Filled, Run};
use super::reply::{self, Reply};
use super::results::{Bounds, Results};
use super::script::{Dress, Script};
use super::time_limit::TimeLimit;
use super::trace::{self, TraceParent};
use super::visit::Visit;
use super::{caller, encode, origin, read_only, request, stream};
use crate::admit::{self, ClientPermit, allow_list, feature, gate, rate, storage};
use crate::error::Refusal;
use crate::pool::{Asker, CheckoutError, Lease};
use crate::relay::effects::Effects;
use crate::relay::policy::Policy;
use crate::resolve::Tenant;
use crate::shared::Shared;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Version};
use net::{ClientAddress, Lingering};
use std::sync::Arc;
use tenancy::{Access, BuiltIn, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

/// Answers a request. `tenant_in_path` is the tenant's name in its path, if there is one; `connection` is who has opened
/// its connection. When the client leaves, hyper drops the future and with it the lease.
pub async fn answer(
    request: Request<Lingering<Incoming>>,
    tenant_in_path: Option<&str>,
    connection: ClientAddress,
    visit: &Arc<Visit>,
    shared: &Arc<Shared>,
) -> Reply {
    let id = Uuid::new_v4();
    let deadline = Instant::now() + shared.config.limits.http_request_timeout();
    let (parts, body) = request.into_parts();
    let peer = match origin::client_of(&parts.headers, connection, shared) {
        Ok(peer) => peer,
        Err(refusal) => return reply::on_sql(refused(refusal.into(), None, shared), id),
    };
    let span = tracing::info_span!(
        "sql", request.id = %id, %peer, tenant.id = Empty, tenant.slug = Empty, subject = Empty,
        trace.id = Empty, trace.parent = Empty
    );
    let trace = TraceParent::of(&parts.headers);
    if let Some(trace) = &trace {
        tracing::record_all!(span, trace.id = trace.trace_id(), trace.parent = trace.parent_id());
    }
    let answered = async {
        let caller = timeout_at(deadline, caller::identify(&parts, tenant_in_path, peer, shared));
        let caller = match caller.await.unwrap_or_else(|_elapsed| Err(too_slow())) {
            Ok(caller) => caller,
            Err(refusal) => return refused(refusal.into(), None, shared),
        };
        // At once: whoever writes logs as JSON writes all fields of a span anew each time.
        tracing::record_all!(
            tracing::Span::current(),
            tenant.id = %caller.tenant.id(),
            tenant.slug = &*caller.tenant.usage().label(),
            subject = &*caller.identity.subject
        );
        let order = Order { parts: &parts, id, trace, deadline, visit, shared };
        order.answer(body, caller).await
    };
    reply::on_sql(answered.instrument(span).await, id)
}

/// Says that this gateway is about to end. Nothing of the request is looked at.
pub fn turn_away(request: Request<Lingering<Incoming>>, shared: &Shared) -> Reply {
    drop(request);
    reply::on_sql(refused(Refusal::draining().into(), None, shared), Uuid::new_v4())
}

/// A request whose sender is known.
struct Order<'a> {
    parts: &'a Parts,
    id: Uuid,
    trace: Option<TraceParent>,
    /// When there has to be a result, or the beginning of one.
    deadline: Instant,
    visit: &'a Arc<Visit>,
    shared: &'a Arc<Shared>,
}

/// What is to be run, and how its result is written.
struct Job {
    script: Script,
    results: Results,
    transaction: Option<request::Transaction>,
    encoding: Option<Encoding>,
}

/// What ends a request whatever its sender does.
#[derive(Debug)]
pub(super) struct Hold {
    /// What its server connection's role may do.
    pub(super) access: Access,
    /// How long its statements may run.
    pub(super) limit: TimeLimit,
}

impl Order<'_> {
    async fn answer(&self, body: Lingering<Incoming>, caller: Caller) -> Reply {
        let tenant = Arc::clone(&caller.tenant);
        let (client, answered) = match self.let_in(&caller).await {
            Ok(client) => (Some(Arc::clone(&client)), self.carry_out(body, caller, client).await),
            Err(refusal) => (None, Err(refusal.into())),
        };
        if matches!(answered, Ok(_) | Err(Failure::Server(_))) {
            self.visit.ran();
        }
        // Who is not where the tenant may be reached from hears nothing else of it.
        let is_elsewhere =
            answered.as_ref().is_err_and(|failure| failure.kind() == Some(ErrorKind::AddressNotAllowed));
        let mut reply =
            answered.unwrap_or_else(|failure| told_of(failure, Some(&tenant), client, self.shared));
        if !is_elsewhere {
            rate::shown::add_to(reply.headers_mut(), tenant.meter());
        }
        reply
    }

    async fn let_in(&self, caller: &Caller) -> Result<Arc<ClientPermit>, Refusal> {
        allow_list::check(&caller.tenant.route(), caller.peer)?;
        feature::check(&self.shared.installation, &caller.tenant, BuiltIn::Http)?;
        let permit = admit::admit(&caller.tenant, &self.shared.routes)?;
        caller.tenant.meter().take_at_once().await?;
        Ok(Arc::new(permit))
    }

    async fn carry_out(
        &self,
        body: Lingering<Incoming>,
        caller: Caller,
        client: Arc<ClientPermit>,
    ) -> Result<Reply, Failure> {
        let body_max = body_bytes_max(&caller.tenant, self.shared);
        let body = timeout_at(self.deadline, read(body, body_max))
            .await
            .unwrap_or_else(|_elapsed| Err(too_slow()))?;
        still_let_in(&caller, self.shared)?;
        let Job { script, results, transaction, encoding } = self.job(&body, &caller.tenant)?;
        drop(body);
        let format = results.format();
        let (mut run, filled, hold) = self.begin(script, results, &caller).await?;
        let mut reply = match filled {
            Filled::All => {
                let body = run.take(0);
                let encoding = encoding.filter(|_| body.len() >= encode::BYTES_MIN);
                let body = match encoding {
                    Some(encoding) => {
                        encode::whole(&body, encoding).await.map_err(|error| not_compressed(&error))?
                    }
                    None => body,
                };
                reply::result(format, encoding, body, client)
            }
            Filled::Part => {
                let body = self.stream(run, hold, encoding, caller, client)?;
                reply::streaming(format, encoding, body)
            }
        };
        if let Some(transaction) = transaction {
            transaction.echo(reply.headers_mut());
        }
        Ok(reply)
    }

    fn job(&self, body: &[u8], tenant: &Tenant) -> Result<Job, Failure> {
        let (headers, config) = (&self.parts.headers, &self.shared.config);
        let format = Format::wanted(headers)?;
        let work = request::parse(headers, body)?;
        if format == Format::Csv && work.transaction.is_some() {
            return Err(one_result_only());
        }
        let comment = config
            .http
            .statement_comment
            .is_wanted(self.trace.is_some())
            .then(|| trace::comment(&tenant.usage().label(), self.id, self.trace));
        let read_only = read_only::is_wanted(self.parts.uri.query())?;
        let script = Script::new(&work, Dress { comment, read_only })?;
        if let Some(refusal) = Policy::new(&config.state).refusal(script.effects()) {
            return Err(refusal.into());
        }
        if script.effects().any_of(Effects::LISTEN | Effects::SUBSCRIBES) {
            feature::check(&self.shared.installation, tenant, BuiltIn::Listen)?;
        }
        let modes = work.statements.iter().map(|statement| statement.mode).collect();
        let bounds = Bounds {
            bytes_max: result_bytes_max(tenant, self.shared),
            row_bytes_max: config.http.row_bytes_max,
        };
        let results = Results::new(format, work.transaction.is_some(), modes, bounds);
        let encoding = if config.http.compression { Encoding::wanted(headers) } else { None };
        Ok(Job { script, results, transaction: work.transaction, encoding })
    }

    /// Runs the script until all of the result is there, or as much as is held.
    async fn begin(
        &self,
        script: Script,
        results: Results,
        caller: &Caller,
    ) -> Result<(Run, Filled, Hold), Failure> {
        let config = &self.shared.config.http;
        let cut_off = caller.tenant.gate().cut_off();
        let run = async {
            let lease = leased(caller, self.shared).await?;
            let limit = TimeLimit::begins(&caller.tenant.route().limits);
            let hold = Hold { access: lease.access(), limit: limit.clone() };
            let mut run = Run::begin(lease, script, caller.application_name.as_deref(), results, limit)?;
            let filled = tokio::select! {
                filled = run.fill(config.held_bytes, &self.shared.usage) => filled?,
                refusal = hold.limit.over() => return Err(refusal.into()),
                refusal = sealed(&caller.tenant, hold.access) => return Err(refusal.into()),
            };
            Ok((run, filled, hold))
        };
        tokio::select! {
            ran = timeout_at(self.deadline, run) => ran.unwrap_or_else(|_elapsed| Err(cancelled().into())),
            () = cut_off => Err(terminated().into()),
            refusal = shut_out(caller) => Err(refusal.into()),
        }
    }

    /// Has the rest sent as the client takes it.
    fn stream(
        &self,
        run: Run,
        hold: Hold,
        encoding: Option<Encoding>,
        caller: Caller,
        client: Arc<ClientPermit>,
    ) -> Result<stream::Streamed, Failure> {
        let config = &self.shared.config.http;
        if self.parts.version < Version::HTTP_11 {
            // The end of its connection is the end of the body, whole or not.
            return Err(Failure::TooLarge { what: "a response by HTTP/1.0", bytes_max: config.held_bytes });
        }
        let (outlet, body) =
            stream::body(encoding, config.stall_timeout()).map_err(|error| not_compressed(&error))?;
        let body = body.kept_for(Arc::clone(&client));
        let watch = Watch {
            caller,
            client,
            visit: Arc::clone(self.visit),
            version: self.parts.version,
            hold,
            deadline: Instant::now() + config.stream_timeout(),
            shared: Arc::clone(self.shared),
        };
        tokio::spawn(pour::pour(run, outlet, watch).in_current_span());
        Ok(body)
    }
}

/// A connection, once no operator keeps the tenant waiting.
async fn leased(caller: &Caller, shared: &Shared) -> Result<Lease, Refusal> {
    let (tenant, access) = (&caller.tenant, caller.identity.access);
    let wait_max = shared.config.console.pause_timeout();
    loop {
        gate::passage(tenant, &shared.gate, wait_max).await?;
        match shared.pools.checkout(tenant, access, Asker::of(&caller.identity.subject)).await {
            Ok(lease) if lease.access() < access => return Err(lease.of_another_access()),
            Ok(lease) if tenant.gate().is_open() && shared.gate.is_open() => {
                still_let_in(caller, shared)?;
                return Ok(lease);
            }
            Ok(_) | Err(CheckoutError::HeldBack) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Resolves when the sender may be served no more where it is. A change of the list is in force within a second.
async fn shut_out(caller: &Caller) -> Refusal {
    loop {
        sleep(pour::LOOK_INTERVAL).await;
        if let Err(refusal) = allow_list::check(&caller.tenant.route(), caller.peer) {
            return refusal;
        }
    }
}

/// Resolves when what runs on a connection of this access has to end because of what the database takes: at once if it
/// was taken just before that was known.
async fn sealed(tenant: &Tenant, access: Access) -> Refusal {
    loop {
        if let Err(refusal) = storage::may_go_on(tenant, access) {
            return refusal;
        }
        sleep(pour::LOOK_INTERVAL).await;
    }
}

/// Both the body and the lease may have been waited for: what was withdrawn meanwhile runs nothing any more.
pub(super) fn still_let_in(caller: &Caller, shared: &Shared) -> Result<(), Refusal> {
    if shared.still_opens(&caller.tenant, &caller.identity.credential) {
        return allow_list::check(&caller.tenant.route(), caller.peer);
    }
    Err(Refusal::new(ErrorKind::Unauthenticated, "the credential was revoked or has expired")
        .hint("send the request again with one that is good"))
}

/// The gateway's bound or the tenant's, whichever is less.
fn body_bytes_max(tenant: &Tenant, shared: &Shared) -> usize {
    lesser(shared.config.limits.http_body_bytes_max, tenant.route().limits.body_bytes_max)
}

fn result_bytes_max(tenant: &Tenant, shared: &Shared) -> usize {
    lesser(shared.config.limits.http_response_bytes_max, tenant.route().limits.result_bytes_max)
}

/// A plan's 0 is no bound.
fn lesser(ours: usize, of_plan: u64) -> usize {
    match usize::try_from(of_plan) {
        Ok(0) | Err(_) => ours,
        Ok(of_plan) => ours.min(of_plan),
    }
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
pub(super) fn refused(failure: Failure, tenant: Option<&Tenant>, shared: &Shared) -> Reply {
    told_of(failure, tenant, None, shared)
}

/// The same for one that was let in.
fn told_of(
    failure: Failure,
    tenant: Option<&Tenant>,
    client: Option<Arc<ClientPermit>>,
    shared: &Shared,
) -> Reply {
    let kind = failure.kind();
    if let Some(kind) = kind {
        match tenant {
            Some(tenant) => tenant.usage().refused(kind),
            None => shared.usage.refusals.refused(kind),
        }
        tracing::info!(kind = kind.as_str(), "a request was refused");
    }
    let (status, retry_after) = (failure.status(), failure.retry_after());
    reply::error(status, &failure.into_body(), retry_after, client)
}

pub(super) fn too_slow() -> Refusal {
    Refusal::new(ErrorKind::ClientTimeout, "the request took too long to arrive")
}

fn one_result_only() -> Failure {
    Refusal::new(ErrorKind::NotAcceptable, "a batch has several results, and CSV holds one")
        .hint("accept application/json or application/x-ndjson")
        .into()
}

fn not_compressed(error: &std::io::Error) -> Failure {
    tracing::error!(%error, "a result could not be compressed");
    Refusal::new(ErrorKind::Internal, "the result could not be compressed").into()
}

pub(super) fn terminated() -> Refusal {
    Refusal::new(ErrorKind::Terminated, "terminating connection due to administrator command")
}

pub(super) fn cancelled() -> Refusal {
    Refusal::new(ErrorKind::Cancelled, "canceling statement due to the request's time limit")
        .hint("use the PostgreSQL protocol for statements that take long")
}

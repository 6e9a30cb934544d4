//! The listener: connections in, requests to the router, an orderly end.

mod activity;
mod tls;

pub(crate) use tls::Tls;
pub use tls::TlsError;

use super::origin;
use crate::counted::{Counted, Held};
use crate::metrics::Metrics;
use activity::{Activity, Running};
use axum::Router;
use axum::http::Request;
use config::ApiLimits;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use net::{AddressKey, ClientAddress, Lingering};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tenancy::AddressRange;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a connection may take over a request's headers, or sit idle before the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection stays open with no request under way, before its first one too. Longer than
/// `HEADER_TIMEOUT`, which is the more exact of the two where it applies.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long open requests get when we shut down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait when the system has no file descriptor left for the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// hyper reads at least this much before it gives up on a header; smaller is refused by hyper itself.
const HTTP1_BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Whom the listener takes, and whose word it takes for where a request comes from.
pub(crate) struct Admission {
    pub(crate) limits: ApiLimits,
    /// Proxies.
    pub(crate) trusted: Vec<AddressRange>,
}

impl Admission {
    /// Room for one more connection of this address, or of the /64 of an IPv6 one: nobody keeps all the others out. A trusted
    /// proxy is many.
    fn take(&self, by_network: &Counted<AddressKey>, from: ClientAddress) -> Option<Held<AddressKey>> {
        let is_proxy = self.trusted.iter().any(|range| range.contains(from.ip()));
        let by = if is_proxy { Vec::new() } else { vec![from.key()] };
        by_network.take(by, |_| self.limits.connections_per_address)
    }
}

/// Serves `router` until `shutdown`, then lets open requests end, and cuts off those that do not.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    admission: Admission,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let builder = Arc::new(builder(&admission.limits));
    let admission = Arc::new(admission);
    let router = TowerToHyperService::new(router);
    let connections = Arc::new(Semaphore::new(admission.limits.connections_max));
    let by_network = Counted::default();
    let mut open = JoinSet::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            next = next_connection(&listener, &connections, &shutdown) => match next {
                Some(next) => next,
                None => break,
            },
            Some(_) = open.join_next() => continue,
        };
        let Some(held) = admission.take(&by_network, peer) else {
            metrics.connection_refused();
            tracing::debug!(address = %peer.ip(), "an address has as many connections to the API as it may");
            continue;
        };
        let (builder, router, shutdown) = (Arc::clone(&builder), router.clone(), shutdown.clone());
        let (tls, admission) = (tls.clone(), Arc::clone(&admission));
        open.spawn(async move {
            match tls {
                None => serve_one(stream, peer, &admission, &builder, router, shutdown).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve_one(stream, peer, &admission, &builder, router, shutdown).await,
                    Err(error) => tracing::debug!(%error, "a client and the API could not agree on TLS"),
                },
            }
            drop((permit, held));
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, async { while open.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("requests were still open at the end of the drain and are cut off");
        open.shutdown().await;
    }
}

/// Serves one connection until it ends, was quiet for too long, or we shut down.
async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: ClientAddress,
    admission: &Admission,
    builder: &Builder<TokioExecutor>,
    router: TowerToHyperService<Router>,
    shutdown: CancellationToken,
) {
    let activity = Arc::new(Activity::new(IDLE_MAX));
    let service = service_fn(|mut request: Request<Incoming>| {
        origin::note(&mut request, connection, &admission.trusted);
        let (running, router) = (Running::begin(&activity), router.clone());
        async move {
            let answer = router.call(request.map(Lingering::new)).await;
            answer.map(|answer| running.until_sent(answer))
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = false;
    loop {
        tokio::select! {
            // How a client ends its connection is the client's business.
            _ = connection.as_mut() => return,
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(activity.deadline(Instant::now())) => {
                if activity.is_over(Instant::now()) {
                    return;
                }
            }
        }
    }
}

/// The next connection with its place among the open ones; none once we shut down.
async fn next_connection(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, ClientAddress, tokio::sync::OwnedSemaphorePermit)> {
    let accepting = async {
        let permit = Arc::clone(connections).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, from)) => return Some((stream, ClientAddress::from(from), permit)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepting => accepted,
        () = shutdown.cancelled() => None,
    }
}

/// The router refuses headers over the limit with a problem; hyper's own bound, twice as high, only keeps
/// a client from filling memory before the router sees anything.
fn builder(limits: &ApiLimits) -> Builder<TokioExecutor> {
    let hard_limit = limits.header_bytes_max.saturating_mul(2).max(HTTP1_BUFFER_BYTES_MIN);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(hard_limit);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(hard_limit).unwrap_or(u32::MAX))
        .keep_alive_interval(HEADER_TIMEOUT);
    builder
}

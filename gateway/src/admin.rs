//! The private listener: metrics, probes, and why a tenant goes where it goes.
//!
//! It answers until the gateway is gone, a draining one included, and takes nothing but GET. It has no
//! password: it must be reachable by operators only. It never shows a secret, and nothing here may slow
//! the tenants' connections: whoever asks too much waits for a place.

mod answer;
pub(crate) mod explain;
pub mod health;

use crate::metrics::GatewayMetrics;
use crate::shared::Shared;
use answer::Answer;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once: some Prometheus servers, a kubelet and a few people. One more waits in the
/// kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 8;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection is asked to end after this long, so that silent ones do not hold their places for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);

/// How long a connection that is to end may take over the answer under way.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long to wait when the process has no file descriptor left for another client.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

const ROUTES: &str = "/routes/";

/// Serves until `stop` fires and the answers under way are given.
pub async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    metrics: Arc<GatewayMetrics>,
    stop: CancellationToken,
) {
    let admin = Arc::new(Admin { shared, metrics });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let (admin, stop) = (Arc::clone(&admin), stop.clone());
                connections.spawn(async move {
                    serve(stream, admin, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection on the admin listener");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _peer) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve(stream: TcpStream, admin: Arc<Admin>, stop: CancellationToken) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request.method(), request.uri().path()).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(CONNECTION_AGE_MAX) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the admin listener broke");
    }
}

struct Admin {
    shared: Arc<Shared>,
    metrics: Arc<GatewayMetrics>,
}

impl Admin {
    async fn answer(&self, method: &Method, path: &str) -> Answer {
        if !matches!(path, "/metrics" | "/healthz" | "/readyz") && !path.starts_with(ROUTES) {
            return answer::problem(StatusCode::NOT_FOUND, "not-found", "there is nothing at this path");
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return answer::method_not_allowed();
        }
        match path {
            "/metrics" => self.metrics().await,
            "/healthz" => health::healthz(),
            "/readyz" => health::readyz(&self.shared),
            _ => self.route(path.trim_start_matches(ROUTES)).await,
        }
    }

    async fn metrics(&self) -> Answer {
        let metrics = Arc::clone(&self.metrics);
        match tokio::task::spawn_blocking(move || metrics.render()).await {
            Ok(text) => answer::text(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Err(error) => {
                tracing::error!(%error, "a scrape failed");
                answer::problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the metrics could not be read",
                )
            }
        }
    }

    async fn route(&self, name: &str) -> Answer {
        let unknown =
            || answer::problem(StatusCode::NOT_FOUND, "tenant-not-found", "no tenant has this slug");
        let Ok(slug) = name.parse() else {
            return unknown();
        };
        match explain::explain(&self.shared, &slug).await {
            Ok(Some(explanation)) => answer::json(StatusCode::OK, &explanation),
            Ok(None) => unknown(),
            Err(refusal) => answer::refusal(&refusal),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

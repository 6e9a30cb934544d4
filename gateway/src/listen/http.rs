//! The HTTP listener: connections, and how long each may stay.

mod encrypt;
mod websocket;

use super::door::{self, Orders, Visitors};
use super::origin::{self, Origin};
use crate::error::{self, Refusal};
use crate::http;
use crate::http::failure::Failure;
use crate::http::visit::{Connection, IDLE_MAX, Visit};
use crate::http::websocket::Slot;
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::summons::run_until;
use config::ProxiedListener;
use hyper::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use net::ClientAddress;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

/// Headers hold a connection string and a key at most.
const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// Requests at once on one HTTP/2 connection. RFC 9113 §6.5.2 recommends no less than 100.
const STREAMS_MAX: u32 = 128;

/// A client that answers no ping for so long has vanished; what it asked for is cancelled.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The longest wait for that client to take it.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Accepts until it is told to end.
pub async fn run(listener: TcpListener, shared: Arc<Shared>, orders: Orders, visitors: Visitors) {
    let builder = Arc::new(builder());
    let enter = |stream, peer| {
        let (builder, served) = (Arc::clone(&builder), Arc::clone(&shared));
        let serve = move |stream| async move {
            run_until(served.cut_off.clone(), serve(stream, peer, &builder, &served)).await;
        };
        // A client that has left already is nobody's loss.
        let _ = shared.workers.serve(visitors.now(&shared.drain), stream, serve);
    };
    door::run(listener, &orders, enter).await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes_max = usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX);
    // Without a timer hyper's time limits are off. The one for headers runs between requests too.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_MAX).max_buf_size(header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    builder: &Builder<TokioExecutor>,
    shared: &Arc<Shared>,
) {
    let Ok(_place) = Arc::clone(&shared.client_places).try_acquire_owned() else {
        shared.usage.refusals.refused(ErrorKind::ClientLimit);
        // It is the gateway that is full, and not its tenant.
        return send_away(stream, StatusCode::SERVICE_UNAVAILABLE, no_place()).await;
    };
    let Some(peer) = client_of(&mut stream, peer, shared).await else { return };
    if let Err(refusal) = shared.addresses.connects(peer) {
        shared.usage.refusals.refused(refusal.kind());
        return send_away(stream, error::http_status(refusal.kind()), refusal).await;
    }
    let Some(stream) = encrypt::begin(stream, peer, shared).await else { return };
    let slot = Arc::new(Slot::default());
    Box::pin(speak_http(stream, peer, builder, &slot, shared)).await;
    if let Some(opening) = slot.take() {
        Box::pin(websocket::serve(opening, Arc::clone(shared))).await;
    }
}

/// Answers requests until the connection ends, or is handed over to another protocol.
async fn speak_http(
    stream: ClientStream,
    peer: ClientAddress,
    builder: &Builder<TokioExecutor>,
    slot: &Arc<Slot>,
    shared: &Arc<Shared>,
) {
    let is_late = shared.drain.is_cancelled();
    let visited = Arc::new(Connection::new(shared.config.limits.startup_timeout()));
    let service = service_fn(|request| {
        let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
        let visit = Arc::new(Visit::begin(&visited));
        async move {
            let answer = match is_late {
                true => http::turn_away(request, &shared),
                false => http::answer(request, peer, &visit, &shared, &slot).await,
            };
            visit.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // One that comes late is told on its first request, and closed with the answer.
    let mut draining = is_late;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "an HTTP connection ended early");
                }
                return;
            }
            () = shared.drain.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = visited.cut() => {
                shared.usage.http_connections_cut.inc();
                return;
            }
            () = sleep_until(visited.deadline(Instant::now())) => {
                if visited.is_over(Instant::now()) {
                    return;
                }
            }
        }
    }
}

/// Who has opened the connection. `None`: a trusted proxy was to say it, and did not.
async fn client_of(stream: &mut TcpStream, peer: SocketAddr, shared: &Shared) -> Option<ClientAddress> {
    let listen = &shared.config.listen;
    let origin = origin::of(stream, peer, listen, ProxiedListener::Http);
    let origin = timeout(shared.config.limits.startup_timeout(), origin).await;
    match origin.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
        Ok(Origin { client, is_unnamed: false }) => return Some(client),
        Ok(_unnamed) => tracing::info!(%peer, "a trusted proxy does not begin with the PROXY protocol"),
        Err(error) => tracing::info!(%peer, %error, "what a proxy says of its client cannot be read"),
    }
    shared.usage.refusals.refused(ErrorKind::ProtocolViolation);
    None
}

fn no_place() -> Refusal {
    Refusal::new(ErrorKind::ClientLimit, "the gateway has as many clients as it takes")
        .hint("try again in a moment")
}

/// Answers without waiting for a request.
async fn send_away(mut stream: TcpStream, status: StatusCode, refusal: Refusal) {
    let failure = Failure::from(refusal);
    let pause = failure.retry_after().map_or(1, |pause| pause.as_millis().div_ceil(1_000).max(1));
    let body = serde_json::to_string(&failure.into_body()).expect("text and nulls");
    let words = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: {pause}\r\naccess-control-allow-origin: *\r\n\
         access-control-expose-headers: retry-after\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = timeout(FAREWELL_MAX, async {
        stream.write_all(words.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

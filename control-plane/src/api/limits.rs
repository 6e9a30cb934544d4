//! What one request may take of us: bytes and time.

use super::problem::{Problem, ProblemKind};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use config::ApiLimits;
use tokio::time::timeout;

/// A stream of progress lives as long as its operation; every other request has an end.
const STREAM_SUFFIX: &str = "/events";

/// Bytes that a header takes on the wire beside its name and value: ": " and the line's end.
const HEADER_OVERHEAD: usize = 4;

/// Refuses a request that is too large and gives up one that takes too long.
///
/// A body whose length is declared is refused before a byte of it is read; one that is not, while it is read
/// (by `DefaultBodyLimit`, which the body's extractor obeys).
pub(super) async fn bound(State(limits): State<ApiLimits>, request: Request, next: Next) -> Response {
    if header_bytes(&request) > limits.header_bytes_max {
        let detail = format!("all headers together may take {} bytes", limits.header_bytes_max);
        return Problem::new(ProblemKind::HeadersTooLarge).detail(detail).into_response();
    }
    if declared_length(&request).is_some_and(|length| length > limits.body_bytes_max) {
        let detail = format!("a body may take {} bytes", limits.body_bytes_max);
        return Problem::new(ProblemKind::BodyTooLarge).detail(detail).into_response();
    }
    if request.uri().path().ends_with(STREAM_SUFFIX) {
        return next.run(request).await;
    }
    match timeout(limits.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(ProblemKind::RequestTimeout).into_response(),
    }
}

fn header_bytes(request: &Request) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}

fn declared_length(request: &Request) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

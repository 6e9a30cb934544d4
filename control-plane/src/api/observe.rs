//! The outermost layer: gives each request its id, writes problems out, counts and logs.
//!
//! Every refusal of every handler and layer passes here and nowhere else becomes bytes, so that all of
//! them look alike and all carry the request id.

use super::problem::{Problem, ProblemKind};
use crate::metrics::Metrics;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's own request id is kept when it is at most this long and harmless in a log.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Seconds after which a refusal that passes by itself is worth another try.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// The id under which the log knows a request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// Wraps everything else.
pub(super) async fn observe(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId(chosen_id(&request).unwrap_or_else(|| Uuid::now_v7().to_string()).into());
    let method = request.method().clone();
    // The pattern, never the path: labels stay few, and no client fills them.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id.clone());

    let span = tracing::info_span!("request", request.id = %id.0, http.method = %method, http.route = %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &problem, &id);
        span.in_scope(|| log_problem(&problem));
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    metrics.request(&route, method_label(&method), response.status().as_u16(), started.elapsed());
    span.in_scope(|| tracing::debug!(http.status = response.status().as_u16(), "request answered"));
    response
}

/// A method is whatever a client writes; a label is one of these.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn chosen_id(request: &Request) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let harmless = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    (harmless && !text.is_empty() && text.len() <= REQUEST_ID_BYTES_MAX).then(|| text.to_owned())
}

fn write_problem(response: &mut Response, problem: &Problem, id: &RequestId) {
    let document =
        serde_json::to_vec(&problem.document(&id.0)).expect("a document of plain values always serialises");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
    }
    *response.body_mut() = document.into();
}

/// What the client got wrong is the client's to read; what we got wrong is ours. The cause of an
/// internal problem was logged where it was turned into one.
fn log_problem(problem: &Problem) {
    match problem.kind() {
        ProblemKind::CatalogUnavailable | ProblemKind::RequestTimeout => {
            tracing::warn!(problem = problem.kind().name(), "request failed");
        }
        kind => tracing::debug!(problem = kind.name(), "request refused"),
    }
}

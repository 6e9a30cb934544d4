//! What one request may take of us: bytes and time.

use super::problem::{Problem, ProblemKind};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use config::ApiLimits;
use tokio::time::timeout;

/// The route of streams of progress, which live as long as their operation; every other request has an end. By the route
/// and not by the path, whose last part may be anybody's choice.
const STREAMS: &str = "/v1/operations/{operation}/events";

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
    if request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == STREAMS) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use std::future::pending;

    /// Nobody gets out of the bound by what they call a role or a tenant.
    #[tokio::test(start_paused = true)]
    async fn only_streams_of_progress_may_take_for_ever() {
        let limits = ApiLimits::default();
        let never = async || pending::<()>().await;
        let router = Router::new()
            .route(STREAMS, get(never))
            .route("/v1/tenants/{tenant}/roles/{role}", get(never))
            .route("/v1/tenants/{tenant}", get(never))
            .layer(from_fn_with_state(limits.clone(), bound));
        let service = TowerToHyperService::new(router);
        for (path, ends) in [
            ("/v1/tenants/acme/roles/events", true),
            ("/v1/tenants/events", true),
            ("/v1/operations/one/events", false),
        ] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let answer = timeout(limits.request_timeout() * 2, service.call(request)).await;
            assert_eq!(answer.is_ok(), ends, "{path}");
        }
    }
}

//! Where a request comes from, as far as that can be said.
//!
//! Never: a request whose origin is in doubt that counts as anybody's.

use super::auth::Peer;
use super::problem::{Problem, ProblemKind};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use net::ClientAddress;
use net::forwarded::{self, Disagreement};
use tenancy::AddressRange;

/// Writes down with the request who has sent it, or that two headers name two.
pub(super) fn note<B>(
    request: &mut axum::http::Request<B>,
    connection: ClientAddress,
    trusted: &[AddressRange],
) {
    match forwarded::client(request.headers(), connection, trusted) {
        Ok(peer) => drop(request.extensions_mut().insert(Peer(peer.ip()))),
        Err(disagreement) => drop(request.extensions_mut().insert(disagreement)),
    }
}

/// Lets nobody in of whom that was written. Within the layer that writes problems out.
pub(super) async fn is_one(request: Request, next: Next) -> Response {
    match request.extensions().get::<Disagreement>() {
        Some(disagreement) => Problem::new(ProblemKind::InvalidHeader)
            .detail(disagreement.to_string())
            .hint("have the proxy write one of them, and remove the other")
            .into_response(),
        None => next.run(request).await,
    }
}

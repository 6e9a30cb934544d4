//! SQL over HTTP: the contract of the `@neondatabase/serverless` driver, and probes.
//!
//! ```text
//! sql ─┬─ origin    where it comes from
//!      ├─ caller    whose request is it, and for which tenant
//!      ├─ request   one statement or a batch        (params: JSON to text)
//!      ├─ negotiate the form that the answer has
//!      ├─ script    the messages for the server     (read_only, trace)
//!      ├─ query     run on a leased connection
//!      ├─ results   the body as rows arrive         (value: text to JSON)
//!      ├─ pour      what is too large to be held    (stream, encode)
//!      └─ failure   why there is none               (reply: as a response)
//! websocket      PostgreSQL's protocol from here on
//! openapi        all of this for programs           (endpoint: what there is)
//! ```
//!
//! A request is a client like any other: it is authenticated, admitted and given a connection by the same
//! code and under the same limits as one on the wire. It leaves no session behind: whatever a statement
//! would leave closes its connection.
//!
//! What this module must never do: read the body of a stranger, log a statement or a parameter, or give
//! back a connection that it has any doubt about.

pub mod bounded;
pub mod caller;
pub mod encode;
pub mod endpoint;
pub mod failure;
pub mod fault;
pub mod features;
pub mod negotiate;
pub mod openapi;
pub mod origin;
pub mod params;
pub mod pour;
pub mod query;
pub mod read_only;
pub mod reply;
pub mod request;
pub mod results;
pub mod script;
pub mod sql;
pub mod stream;
pub mod time_limit;
pub mod trace;
pub mod value;
pub mod visit;
pub mod websocket;

use crate::shared::Shared;
use endpoint::Endpoint;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};
use net::{ClientAddress, Lingering};
use reply::Reply;
use std::sync::Arc;
use tenancy::Source;
use visit::Visit;
use websocket::Slot;

/// Answers any request. A connection that is to be a WebSocket is left in `slot`.
pub async fn answer(
    request: Request<Incoming>,
    connection: ClientAddress,
    visit: &Arc<Visit>,
    shared: &Arc<Shared>,
    slot: &Slot,
) -> Reply {
    shared.usage.http_requests.inc();
    let names_tenants = shared.config.resolve.http_sources.contains(&Source::Path);
    let Some((endpoint, tenant)) = Endpoint::at(request.uri().path(), names_tenants) else {
        let nothing = reply::problem(StatusCode::NOT_FOUND, "there is nothing here: send statements to /sql");
        return reply::for_any_origin(nothing);
    };
    if !endpoint.takes(request.method()) {
        return reply::for_any_origin(reply::method_not_allowed(endpoint.allow()));
    }
    if *request.method() == Method::OPTIONS {
        return reply::preflight(endpoint.allow());
    }
    let tenant = tenant.map(str::to_owned);
    match endpoint {
        Endpoint::Sql => {
            sql::answer(request.map(Lingering::new), tenant.as_deref(), connection, visit, shared).await
        }
        Endpoint::WebSocket => websocket::answer(request, tenant.as_deref(), connection, shared, slot),
        Endpoint::Features => {
            let (parts, _nothing) = request.into_parts();
            features::answer(&parts, tenant.as_deref(), connection, shared).await
        }
        Endpoint::Healthy => healthy(),
        Endpoint::Ready => ready(shared),
        Endpoint::OpenApi => reply::json(StatusCode::OK, openapi::DOCUMENT.as_bytes().to_vec()),
    }
}

/// Answers a request of a connection that came while the gateway drains: another one may serve it.
pub fn turn_away(request: Request<Incoming>, shared: &Shared) -> Reply {
    shared.usage.http_requests.inc();
    let is_http_1 = request.version() < Version::HTTP_2;
    let mut reply = match request.uri().path() {
        "/healthz" => healthy(),
        "/readyz" => ready(shared),
        _ => sql::turn_away(request.map(Lingering::new), shared),
    };
    if is_http_1 {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// The process runs.
fn healthy() -> Reply {
    reply::json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec())
}

/// New clients are welcome here: the catalog was reached, and the gateway is not about to leave.
fn ready(shared: &Shared) -> Reply {
    if shared.leaving.is_cancelled() {
        reply::problem(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down")
    } else if shared.progress.started() {
        reply::json(StatusCode::OK, br#"{"status":"ready"}"#.to_vec())
    } else {
        reply::problem(StatusCode::SERVICE_UNAVAILABLE, "the catalog has not been reached yet")
    }
}

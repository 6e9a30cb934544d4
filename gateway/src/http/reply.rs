//! Responses.

use super::failure::ErrorBody;
use super::negotiate::{Encoding, Format};
use super::stream::{BrokenOff, Streamed};
use crate::admit::ClientPermit;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_ENCODING, CONTENT_TYPE,
    HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use uuid::Uuid;

/// A response.
pub type Reply = Response<ReplyBody>;

/// Its body.
pub enum ReplyBody {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// The rest is still to come.
    Streamed(Streamed),
}

impl Default for ReplyBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// The header that drivers show when a request went wrong.
const REQUEST_ID: &str = "neon-request-id";

/// What scripts of other origins may read of an answer. The first is that of `REQUEST_ID`.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "neon-request-id, retry-after, etag, ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy",
);

/// All request headers that the contract knows, and what browsers ask leave for.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Neon-Connection-String, Neon-Raw-Text-Output, \
     Neon-Array-Mode, Neon-Pool-Opt-In, Neon-Batch-Isolation-Level, Neon-Batch-Read-Only, Neon-Batch-Deferrable, \
     Traceparent, If-None-Match";

/// A day, in seconds. Browsers cap it themselves.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("86400");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// A JSON body.
#[must_use]
pub fn json(status: StatusCode, body: Vec<u8>) -> Reply {
    with_type(status, JSON, body)
}

/// A result that counts as its client's until the last byte of it was handed to the socket: a client that
/// does not take its responses has no more of them kept in memory than it may have requests under way.
#[must_use]
pub fn result(format: Format, encoding: Option<Encoding>, body: Vec<u8>, client: Arc<ClientPermit>) -> Reply {
    in_form(format, encoding, ReplyBody::Whole(Full::new(kept_for(client, body))))
}

/// A result whose rest is still to come.
#[must_use]
pub fn streaming(format: Format, encoding: Option<Encoding>, body: Streamed) -> Reply {
    in_form(format, encoding, ReplyBody::Streamed(body))
}

fn in_form(format: Format, encoding: Option<Encoding>, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, encoding.name());
    }
    reply
}

fn kept_for(client: Arc<ClientPermit>, body: Vec<u8>) -> Bytes {
    Bytes::from_owner(Kept { body, _client: client })
}

struct Kept {
    body: Vec<u8>,
    _client: Arc<ClientPermit>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The body of an error on `/sql`. `retry_after`: when the client may try again, if it is of any use. `client`, if it was
/// let in, counts until it has taken what it is told: a statement may raise an error that is large.
#[must_use]
pub fn error(
    status: StatusCode,
    body: &ErrorBody,
    retry_after: Option<Duration>,
    client: Option<Arc<ClientPermit>>,
) -> Reply {
    let body = serialized(body);
    let body = match client {
        Some(client) => kept_for(client, body),
        None => body.into(),
    };
    let mut reply = with_type(status, JSON, body);
    if let Some(pause) = retry_after {
        // The header knows whole seconds only.
        let seconds = pause.as_millis().div_ceil(1_000).max(1).to_string();
        let seconds = HeaderValue::from_str(&seconds).expect("a number is made of digits");
        reply.headers_mut().insert(RETRY_AFTER, seconds);
    }
    if status == StatusCode::UNAUTHORIZED {
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tenantry\""));
    }
    reply
}

/// What lies outside `/sql` answers in the form of RFC 9457.
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Reply {
    #[derive(Serialize)]
    struct Problem<'a> {
        r#type: &'static str,
        title: &'a str,
        status: u16,
        detail: &'a str,
    }
    let title = status.canonical_reason().unwrap_or_default();
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail };
    with_type(status, PROBLEM_JSON, serialized(&problem))
}

/// A problem that names the methods that would have done.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method");
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// The answer to a browser that asks whether it may send a request; `allowed` are the methods.
#[must_use]
pub fn preflight(allowed: &'static str) -> Reply {
    let mut reply = Reply::default();
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allowed));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    reply
}

/// Has scripts of any origin read an answer: no cookie ever authenticates here.
#[must_use]
pub fn for_any_origin(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    reply
}

/// Adds what every answer on `/sql` carries.
#[must_use]
pub fn on_sql(reply: Reply, request: Uuid) -> Reply {
    let mut reply = for_any_origin(reply);
    let headers = reply.headers_mut();
    let mut digits = Uuid::encode_buffer();
    let id = request.hyphenated().encode_lower(&mut digits);
    let id = HeaderValue::from_str(id).expect("hexadecimal digits and hyphens");
    headers.insert(REQUEST_ID, id);
    reply
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(Full::new(body.into())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

fn serialized(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of text and numbers")
}

//! Small answers: text, JSON, and problems as RFC 9457 has them.

use crate::error::{Refusal, http_status};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A whole response.
pub(super) type Answer = Response<Full<Bytes>>;

/// The content type of what is meant for people.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// The control plane's problems begin in the same way.
const TYPE_PREFIX: &str = "urn:tenantry:problem:";

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// A text.
pub(super) fn text(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    text(status, "application/json", to_json(value))
}

/// A problem: a stable type for programs, a sentence for people.
pub(super) fn problem(status: StatusCode, kind: &str, detail: &str) -> Answer {
    write_problem(status, kind, detail, None)
}

/// A refusal as a problem.
pub(super) fn refusal(refusal: &Refusal) -> Answer {
    let kind = refusal.kind().as_str().replace('_', "-");
    write_problem(http_status(refusal.kind()), &kind, refusal.message(), refusal.hint_text())
}

/// Only GET and HEAD are served.
pub(super) fn method_not_allowed() -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "only GET is served here");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

fn write_problem(status: StatusCode, kind: &str, detail: &str, hint: Option<&str>) -> Answer {
    let body = Problem {
        r#type: format!("{TYPE_PREFIX}{kind}"),
        title: status.canonical_reason().unwrap_or("Problem"),
        status: status.as_u16(),
        detail,
        hint,
    };
    text(status, "application/problem+json", to_json(&body))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing serializers")
}

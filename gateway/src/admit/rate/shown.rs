//! What HTTP says of a tenant's rate.
//!
//! The headers of draft-ietf-httpapi-ratelimit-headers (`RateLimit-Limit`, `-Remaining` and `-Reset` as of its third
//! version, which clients know; the policy as of its seventh). What remains is what this gateway has of it.

use super::Meter;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Those that browsers are to let scripts read, besides [`hyper::header::RETRY_AFTER`].
pub const HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("ratelimit-policy"),
];

/// Adds them to an answer. A tenant without a limit has none.
pub fn add_to(headers: &mut HeaderMap, meter: &Meter) {
    let Some(remaining) = meter.remaining() else { return };
    let reset = remaining.full_in.as_millis().div_ceil(1_000);
    let (rate, burst) = (remaining.per_second, remaining.burst);
    let values = [
        rate.to_string(),
        remaining.requests.to_string(),
        reset.to_string(),
        format!("{rate};w=1;burst={burst}"),
    ];
    for (name, value) in HEADERS.into_iter().zip(values) {
        let value = HeaderValue::try_from(value).expect("digits and words of ours");
        headers.insert(name, value);
    }
}

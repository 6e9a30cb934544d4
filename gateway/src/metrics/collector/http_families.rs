//! What is shown of results that stream over HTTP.

use crate::http::pour::StreamEnd;
use crate::metrics::GatewayUsage;
use crate::metrics::family::{Family, Spec};
use std::sync::atomic::Ordering;

static STREAMS: Spec =
    Spec::gauge("tenantry_gateway_http_streams", &[], "Results over HTTP that are being streamed now.");
static STREAM_ENDS: Spec = Spec::counter(
    "tenantry_gateway_http_stream_ends_total",
    &["end"],
    "Results over HTTP that were streamed, by how they have ended.",
);
static CUT: Spec = Spec::counter(
    "tenantry_gateway_http_connections_cut_total",
    &[],
    "HTTP connections closed because the client did not read its result, or took back most of what it asked for.",
);

/// What is read of streams.
#[derive(Debug, Clone, Default)]
pub struct HttpReading {
    /// Under way.
    pub streams: u32,
    /// By how they have ended.
    pub ends: Vec<(StreamEnd, u64)>,
    /// Connections closed on their clients.
    pub cut: u64,
}

impl HttpReading {
    /// Reads it.
    #[must_use]
    pub fn of(usage: &GatewayUsage) -> Self {
        Self {
            streams: usage.http_streams_open.load(Ordering::Acquire),
            ends: usage.stream_ends().collect(),
            cut: usage.http_connections_cut.get(),
        }
    }
}

pub(super) fn families(reading: &HttpReading) -> [Family; 3] {
    let mut ends = Family::new(&STREAM_ENDS);
    for (end, count) in &reading.ends {
        ends.push(&[end.as_str()], *count);
    }
    [
        Family::new(&STREAMS).row(&[], u64::from(reading.streams)),
        ends,
        Family::new(&CUT).row(&[], reading.cut),
    ]
}

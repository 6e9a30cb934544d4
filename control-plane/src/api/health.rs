//! For those who watch the process: no token needed, nothing told but how it is.

use super::problem::{ApiResult, Problem};
use super::refusal::internal;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "The process runs", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The catalog answers and has the schema that this release needs.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Requests can be served", body = String), super::document::Problems)
)]
pub(super) async fn readyz(State(state): State<ApiState>) -> ApiResult<&'static str> {
    state.catalog.check_version().await?;
    Ok("ready\n")
}

/// Metrics, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "All metrics", body = String)))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let text = state.metrics.text().map_err(|error| internal(&error))?;
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

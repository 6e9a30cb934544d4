//! HTTP, and nothing but HTTP: what a request means, and how its outcome reads.

mod auth;
mod extract;
mod limits;
mod observe;
mod pagination;
mod problem;
mod server;

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(info(title = "Tenantry control plane"))]
struct Document;

/// The OpenAPI document, as JSON.
#[must_use]
pub fn openapi() -> String {
    Document::openapi().to_pretty_json().expect("a document of plain values always serialises")
}

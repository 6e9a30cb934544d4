//! The OpenAPI document. `openapi/control-plane.json` is a copy of it, checked in so that a change of the
//! contract shows in review; a test fails when the copy is stale.

use super::problem::ProblemDocument;
use super::{open_resources, resources};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response as ResponseObject, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi, ToSchema};

/// The name of the operator token among the document's security schemes.
const OPERATOR_TOKEN: &str = "operator_token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenantry control plane",
        description = "Regions, clusters, plans, tenants, credentials and operations. What takes time answers 202 with an \
                       operation to poll or stream. Errors are RFC 9457 problems with a stable type.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "regions", description = "Where clusters and gateways stand"),
        (name = "clusters", description = "PostgreSQL servers that tenants are placed on"),
        (name = "gateways", description = "What serves tenants' clients"),
        (name = "plans", description = "What tenants buy, and may"),
        (name = "tenants", description = "Customers, each with a database of its own"),
        (name = "credentials", description = "What opens a tenant's database"),
        (name = "operations", description = "Durable work: polled, streamed, cancelled"),
        (name = "health", description = "For those who watch the process")
    )
)]
struct Document;

/// The OpenAPI document, as JSON.
#[must_use]
pub fn openapi() -> String {
    let (_, mut document) = resources().split_for_parts();
    let (_, open) = open_resources().split_for_parts();
    let token = SecurityRequirement::new(OPERATOR_TOKEN, Vec::<String>::new());
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.security = Some(vec![token.clone()]);
        }
    }
    document.merge(open);
    document.merge(Document::openapi());
    let described = Document::openapi();
    document.info = described.info;
    document.tags = described.tags;
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme(OPERATOR_TOKEN, scheme);
    document.to_pretty_json().expect("a document of plain values always serialises")
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json"))
)]
pub(super) async fn openapi_json() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi()).into_response()
}

/// What every endpoint may answer besides its own responses: a problem.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<ResponseObject>> {
        let schema = Ref::from_schema_name(ProblemDocument::name());
        let problem = ResponseBuilder::new()
            .description("A problem")
            .content("application/problem+json", Content::new(Some(schema)))
            .build();
        BTreeMap::from([("default".to_owned(), problem.into())])
    }
}

#[cfg(test)]
mod tests {
    use super::openapi;

    /// To write the copy anew: `UPDATE_OPENAPI=1 cargo test -p control-plane openapi`.
    #[test]
    fn the_checked_in_copy_of_openapi_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/control-plane.json");
        let current = openapi() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let copy = std::fs::read_to_string(path).unwrap_or_default();
        assert!(copy == current, "{path} is stale: run UPDATE_OPENAPI=1 cargo test -p control-plane openapi");
    }
}

//! The OpenAPI document. `openapi/control-plane.json` is a copy of it, checked in so that a change of the
//! contract shows in review; a test fails when the copy is stale.

mod closed;

use super::auth::{Requirement, requirement_of};
use super::problem::ProblemDocument;
use super::resources;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response as ResponseObject, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi, ToSchema};

/// The names of the ways to show who one is among the document's security schemes.
const OPERATOR_TOKEN: &str = "operator_token";
const TENANT_KEY: &str = "tenant_key";
const SESSION: &str = "session";

/// Each with what it is.
const SCHEMES: &[(&str, &str)] = &[
    (OPERATOR_TOKEN, "The operator's token: opens everything"),
    (TENANT_KEY, "An API key of scope admin: opens its tenant, as far as its role goes"),
    (
        SESSION,
        "The session of a person who has signed in: opens the tenants that they belong to, as far as \
               their roles go",
    ),
];

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
        (name = "features", description = "What tenants may use, switched by flags"),
        (name = "tenants", description = "Customers, each with a database of its own"),
        (name = "credentials", description = "What opens a tenant's database"),
        (name = "users", description = "People who may sign in"),
        (name = "members", description = "Who is what in a tenant, and who is invited"),
        (name = "session", description = "Signing in, and what people do for themselves"),
        (name = "signing-keys", description = "What signs gateway tokens"),
        (name = "issuers", description = "Identity providers whose tokens open tenants"),
        (name = "operations", description = "Durable work: polled, streamed, cancelled"),
        (name = "health", description = "For those who watch the process")
    )
)]
struct Document;

/// The OpenAPI document, as JSON.
#[must_use]
pub fn openapi() -> String {
    let (_, mut document) = resources().split_for_parts();
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let (Some(operation), Some(requirement)) = (operation, requirement_of(&method, path)) {
                tell(operation, requirement);
            }
        }
    }
    document.merge(Document::openapi());
    let described = Document::openapi();
    document.info = described.info;
    document.tags = described.tags;
    let components = document.components.get_or_insert_default();
    closed::join_closed_parts(&mut components.schemas);
    for (name, description) in SCHEMES {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(*description));
        components.add_security_scheme(*name, SecurityScheme::Http(bearer.build()));
    }
    document.to_pretty_json().expect("a document of plain values always serialises")
}

/// Says of an operation who may ask for it, and by which token they show who they are.
fn tell(operation: &mut Operation, requirement: Requirement) {
    let schemes: &[&str] = match requirement {
        Requirement::Public => &[],
        Requirement::Operator => &[OPERATOR_TOKEN],
        Requirement::Oneself => &[SESSION],
        Requirement::Tenant(_) | Requirement::Operation(_) | Requirement::Listed(_) => {
            &[OPERATOR_TOKEN, TENANT_KEY, SESSION]
        }
    };
    let any_of = schemes.iter().map(|scheme| SecurityRequirement::new(*scheme, Vec::<String>::new()));
    operation.security = Some(any_of.collect());
    let requires = Extensions::builder().add("x-tenantry-requires", requirement.to_string()).build();
    operation.extensions.get_or_insert_default().merge(requires);
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

    /// Such a part would forbid what the other parts require, and no value would be as described.
    #[test]
    fn no_part_of_a_schema_is_closed_against_the_others() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            for part in schema["allOf"].as_array().into_iter().flatten() {
                let referred = part["$ref"].as_str().and_then(|path| path.rsplit('/').next());
                let part = referred.map_or(part, |name| &schemas[name]);
                assert_ne!(part["additionalProperties"], false, "{name}");
            }
        }
    }

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

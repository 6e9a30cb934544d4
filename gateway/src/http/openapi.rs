//! The OpenAPI document of what is served for applications. `openapi/gateway.json` is a copy of it, checked in so that a
//! change of the contract shows in review; a test fails when the copy is stale, and another when it leaves something out.

mod shapes;

use super::endpoint::Endpoint;
use super::request::{ARRAY_MODE, BATCH_DEFERRABLE, BATCH_ISOLATION_LEVEL, BATCH_READ_ONLY, RAW_TEXT_OUTPUT};
use crate::resolve::request::{CONNECTION_STRING, TENANT_HEADER};
use serde_json::json;
use std::sync::LazyLock;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, HeaderBuilder, Info, License, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema,
};

/// The document, as JSON.
pub static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| document().to_pretty_json().expect("a document of plain values always serialises"));

fn document() -> OpenApi {
    let mut paths = Paths::new();
    for endpoint in Endpoint::ALL {
        for method in methods(endpoint) {
            let of = |has_tenant| operation(endpoint, &method, has_tenant);
            paths.add_path_operation(endpoint.path(), vec![method.clone()], of(false));
            if endpoint.is_tenants() {
                let below = format!("/t/{{tenant}}{}", endpoint.path());
                paths.add_path_operation(below, vec![method.clone()], of(true));
            }
        }
    }
    let mut info = Info::new("Tenantry gateway", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "SQL over HTTP and PostgreSQL's protocol in a WebSocket, as @neondatabase/serverless speaks them. The tenant is \
         named by the credential, the host, the path or the connection string; all that name one must agree."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut document = OpenApiBuilder::new().info(info).paths(paths).build();
    let components = document.components.get_or_insert_default();
    for (name, schema) in shapes::all() {
        components.schemas.insert(name, schema);
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, a token, or a service credential"));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    let string = ApiKeyValue::with_description(CONNECTION_STRING, "postgres://USER:PASSWORD@HOST/DATABASE");
    components.add_security_scheme("connection_string", SecurityScheme::ApiKey(ApiKey::Header(string)));
    document
}

/// The methods that are described.
fn methods(endpoint: Endpoint) -> Vec<HttpMethod> {
    match endpoint {
        Endpoint::Sql => vec![HttpMethod::Post, HttpMethod::Options],
        Endpoint::WebSocket => vec![HttpMethod::Get],
        Endpoint::Features => vec![HttpMethod::Get, HttpMethod::Head, HttpMethod::Options],
        Endpoint::Healthy | Endpoint::Ready | Endpoint::OpenApi => vec![HttpMethod::Get, HttpMethod::Head],
    }
}

fn operation(endpoint: Endpoint, method: &HttpMethod, has_tenant: bool) -> Operation {
    let operation = if *method == HttpMethod::Options { preflight() } else { main_operation(endpoint) };
    let operation = if has_tenant { operation.parameter(tenant_in_path()) } else { operation };
    let mut operation = operation.build();
    if *method == HttpMethod::Head {
        without_bodies(&mut operation);
    }
    operation
}

/// What an endpoint is there for.
fn main_operation(endpoint: Endpoint) -> OperationBuilder {
    match endpoint {
        Endpoint::Sql => sql(),
        Endpoint::WebSocket => websocket(),
        Endpoint::Features => features(),
        Endpoint::Healthy => probe("The process runs"),
        Endpoint::Ready => probe("The gateway takes clients").response("503", problem("It does not")),
        Endpoint::OpenApi => OperationBuilder::new().summary(Some("This document")).response(
            "200",
            ResponseBuilder::new()
                .description("The OpenAPI document")
                .content("application/json", Content::new(Some(object())))
                .build(),
        ),
    }
}

/// RFC 9110 §9.3.2: HEAD is answered as GET is, but for the body.
fn without_bodies(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
}

/// What browsers ask before a script of another origin may send its request.
fn preflight() -> OperationBuilder {
    let mut told =
        ResponseBuilder::new().description("A script of any origin may, and this is what it may send");
    for name in
        ["Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"]
    {
        told = told.header(name, HeaderBuilder::new().schema(Some(text(&[]))).build());
    }
    OperationBuilder::new().summary(Some("Ask what a browser may send")).response("200", told.build())
}

fn tenant_in_path() -> Parameter {
    let tenant = ParameterBuilder::new()
        .name("tenant")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The tenant's slug"))
        .schema(Some(text(&[])));
    tenant.build()
}

fn sql() -> OperationBuilder {
    let one_of = |first: &str, second: &str| {
        utoipa::openapi::OneOfBuilder::new()
            .item(Ref::from_schema_name(first))
            .item(Ref::from_schema_name(second))
    };
    let body = RequestBodyBuilder::new()
        .description(Some(
            "One statement, or a batch. The content type is not looked at: the driver sends text/plain.",
        ))
        .content("application/json", Content::new(Some(Schema::OneOf(one_of("Statement", "Batch").build()))))
        .required(Some(Required::True));
    let results = Schema::OneOf(one_of("QueryResult", "BatchResult").build());
    let answer = ResponseBuilder::new()
        .description("The result, in the form that Accept asks for")
        .content("application/json", Content::new(Some(results)))
        .content("application/x-ndjson", Content::new(Some(text(&[]))))
        .content("text/csv", Content::new(Some(text(&[]))))
        .header("Neon-Request-Id", HeaderBuilder::new().schema(Some(text(&[]))).build());
    let mut operation = OperationBuilder::new()
        .summary(Some("Run statements"))
        .description(Some("What a statement leaves behind in its session is gone when it has been answered."))
        .request_body(Some(body.build()))
        .response("200", answer.build());
    for (name, values, about) in [
        (RAW_TEXT_OUTPUT, &["true", "false"][..], "Values as PostgreSQL's text rather than as JSON"),
        (ARRAY_MODE, &["true", "false"], "Rows as arrays"),
        (
            BATCH_ISOLATION_LEVEL,
            &["ReadUncommitted", "ReadCommitted", "RepeatableRead", "Serializable"],
            "The isolation level of a batch",
        ),
        (BATCH_READ_ONLY, &["true", "false"], "A batch that only reads"),
        (
            BATCH_DEFERRABLE,
            &["true", "false"],
            "A serializable batch that only reads, and waits rather than fails",
        ),
        (TENANT_HEADER, &[], "The tenant's id or slug; only with a service credential"),
    ] {
        operation = operation.parameter(parameter(name, ParameterIn::Header, values, about));
    }
    let read_only = "The statements run in a read-only transaction that they cannot lift";
    operation =
        operation.parameter(parameter("read_only", ParameterIn::Query, &["true", "false"], read_only));
    for (status, about) in [
        ("400", "PostgreSQL's answer to a statement that fails, or a request that cannot be read"),
        ("401", "The credential is missing or not good"),
        ("403", "The credential does not reach so far, or the tenant is suspended"),
        ("404", "There is no such tenant"),
        ("406", "None of the forms that Accept names is had here"),
        ("408", "The request took too long to arrive"),
        ("409", "Two places name different tenants"),
        ("413", "The request is too large"),
        ("429", "Too many at once; Retry-After says when to come back"),
        ("503", "Not now; Retry-After says when to come back"),
        ("504", "The statement took too long"),
        ("507", "The result is larger than a response may be"),
    ] {
        operation = operation.response(status, failure(about));
    }
    let bearer = SecurityRequirement::new("bearer", Vec::<String>::new());
    let string = SecurityRequirement::new("connection_string", Vec::<String>::new());
    operation.security(bearer).security(string)
}

fn websocket() -> OperationBuilder {
    let upgraded = Response::new("PostgreSQL's protocol from here on, in binary frames");
    OperationBuilder::new()
        .summary(Some("Open a WebSocket"))
        .description(Some("Only by an upgrade of HTTP/1.1. The client logs in inside, as on the wire."))
        .parameter(parameter(
            "address",
            ParameterIn::Query,
            &[],
            "The host and port that the driver would connect to without a WebSocket; the host may name the tenant",
        ))
        .response("101", upgraded)
        .response("400", failure("The request's names cannot be read, or its key is none"))
        .response("403", failure("X-Tenant-ID is only for service credentials"))
        .response("426", problem("The request is not an upgrade to version 13"))
        .response("503", failure("Not now"))
}

fn features() -> OperationBuilder {
    let told = ResponseBuilder::new()
        .description("Each feature, and whether the tenant has it")
        .content("application/json", Content::new(Some(Ref::from_schema_name("Features"))))
        .header("ETag", HeaderBuilder::new().schema(Some(text(&[]))).build())
        .build();
    let known = "The ETag of an answer that is known already";
    let mut operation = OperationBuilder::new()
        .summary(Some("Show what the tenant has"))
        .parameter(parameter("If-None-Match", ParameterIn::Header, &[], known))
        .parameter(parameter(
            TENANT_HEADER,
            ParameterIn::Header,
            &[],
            "The tenant's id or slug; only with a service credential",
        ))
        .response("200", told)
        .response("304", Response::new("It is as it was"));
    for (status, about) in [
        ("400", "The request cannot be read"),
        ("401", "The credential is missing or not good"),
        ("403", "The tenant is suspended, or may not be reached from here"),
        ("404", "There is no such tenant"),
        ("409", "Two places name different tenants"),
        ("429", "Too many at once; Retry-After says when to come back"),
        ("503", "Not now; Retry-After says when to come back"),
    ] {
        operation = operation.response(status, failure(about));
    }
    let bearer = SecurityRequirement::new("bearer", Vec::<String>::new());
    let string = SecurityRequirement::new("connection_string", Vec::<String>::new());
    operation.security(bearer).security(string)
}

fn probe(about: &str) -> OperationBuilder {
    let well = ResponseBuilder::new()
        .description("Yes")
        .content("application/json", Content::new(Some(Ref::from_schema_name("Status"))))
        .build();
    OperationBuilder::new().summary(Some(about)).response("200", well)
}

fn failure(about: &str) -> Response {
    ResponseBuilder::new()
        .description(about)
        .content("application/json", Content::new(Some(Ref::from_schema_name("ErrorBody"))))
        .build()
}

fn problem(about: &str) -> Response {
    ResponseBuilder::new()
        .description(about)
        .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

fn parameter(name: &str, place: ParameterIn, values: &[&str], about: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(text(values)))
        .build()
}

fn text(values: &[&str]) -> Schema {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let values = (!values.is_empty()).then(|| values.iter().map(|value| json!(value)));
    Schema::Object(text.enum_values(values).build())
}

fn object() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// To write the copy anew: `UPDATE_OPENAPI=1 cargo test -p gateway openapi`.
    #[test]
    fn the_checked_in_copy_of_openapi_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/gateway.json");
        let current = format!("{}\n", *DOCUMENT);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &current).expect("the repository can be written to");
        }
        let copy = std::fs::read_to_string(path).unwrap_or_default();
        assert!(copy == current, "{path} is stale: run UPDATE_OPENAPI=1 cargo test -p gateway openapi");
    }

    #[test]
    fn every_endpoint_is_described_with_every_method() {
        let document: Value = serde_json::from_str(&DOCUMENT).expect("it is JSON");
        let mut expected = Vec::new();
        for endpoint in Endpoint::ALL {
            let below = format!("/t/{{tenant}}{}", endpoint.path());
            for path in [Some(endpoint.path()), endpoint.is_tenants().then_some(below.as_str())] {
                let methods = endpoint.allow().split(", ").map(str::to_lowercase);
                expected.extend(
                    path.into_iter()
                        .flat_map(|path| methods.clone().map(move |method| format!("{method} {path}"))),
                );
            }
        }
        let described = document["paths"].as_object().expect("paths").iter().flat_map(|(path, item)| {
            item.as_object().expect("operations").keys().map(move |method| format!("{method} {path}"))
        });
        let mut described: Vec<String> = described.collect();
        expected.sort();
        described.sort();
        assert_eq!(described, expected);
    }

    #[test]
    fn what_has_no_body_is_described_without_one() {
        let document: Value = serde_json::from_str(&DOCUMENT).expect("it is JSON");
        let operations = document["paths"]
            .as_object()
            .expect("paths")
            .values()
            .flat_map(|item| item.as_object().expect("operations"));
        for (method, operation) in operations {
            let responses = operation["responses"].as_object().expect("responses");
            let some_have = responses.values().any(|response| response.get("content").is_some());
            assert_eq!(some_have, !["head", "options"].contains(&method.as_str()), "{method} {operation}");
        }
    }

    #[test]
    fn errors_are_described_with_every_field() {
        let document: Value = serde_json::from_str(&DOCUMENT).expect("it is JSON");
        let described = &document["components"]["schemas"]["ErrorBody"]["properties"];
        let written =
            serde_json::to_value(crate::http::failure::ErrorBody::default()).expect("text and nulls");
        assert!(
            described.as_object().expect("fields").keys().eq(written.as_object().expect("fields").keys())
        );
    }
}

//! Reading requests, so that whatever is wrong with one gets the problem it deserves.

use super::auth::ActsIn;
use super::problem::{Problem, ProblemKind};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};

/// What a path calls the tenant that it is about.
const TENANT: &str = "tenant";

/// A JSON body, with the bytes that it came in: idempotency compares those.
#[derive(Debug)]
pub(super) struct Body<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declared_as_json(request.headers()) {
            return Err(ProblemKind::UnsupportedMediaType.into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))?;
        let value = serde_json::from_slice(&bytes).map_err(|error| invalid(&error))?;
        Ok(Self { value, bytes })
    }
}

/// The query string, read as strictly as a body.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = query
            .map_err(|rejection| Problem::new(ProblemKind::InvalidQuery).detail(rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The parts of the path that name something. What cannot be read (it is no UTF-8) names nothing. Where a request may
/// act in one tenant only, that tenant's id stands in the place of the name that was given.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let acts_in = parts.extensions.get().map(|acts_in: &ActsIn| acts_in.tenant.to_string());
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::from(ProblemKind::NotFound))?;
        let names: Vec<String> = path
            .iter()
            .map(|(name, value)| match (name, &acts_in) {
                (TENANT, Some(tenant)) => tenant.clone(),
                _ => value.to_owned(),
            })
            .collect();
        named(names).map(Self).map_err(|_| ProblemKind::NotFound.into())
    }
}

/// One name is itself, several are a tuple.
fn named<T: DeserializeOwned>(mut names: Vec<String>) -> Result<T, serde::de::value::Error> {
    if names.len() == 1 {
        return T::deserialize(names.remove(0).into_deserializer());
    }
    T::deserialize(SeqDeserializer::new(names.into_iter()))
}

fn declared_as_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ProblemKind::BodyTooLarge.into();
    }
    Problem::new(ProblemKind::MalformedBody).detail("the body ended early")
}

/// serde tells what is wrong only in words; the words of `deny_unknown_fields` are stable enough to sort by,
/// and a test holds them. The message can repeat a value, so it is cut off where the value could be a secret.
fn invalid(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        let place = format!("line {}, column {}", error.line(), error.column());
        return Problem::new(ProblemKind::MalformedBody).detail(format!("not JSON at {place}"));
    }
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let field = rest.split('`').next().unwrap_or_default();
        let known = rest.split_once("expected ").map_or("", |(_, known)| before_place(known));
        let problem =
            Problem::new(ProblemKind::UnknownField).detail(format!("unknown field \"{field}\"")).field(field);
        return if known.is_empty() { problem } else { problem.hint(format!("known fields: {known}")) };
    }
    if let Some(rest) = text.strip_prefix("missing field `") {
        let field = rest.split('`').next().unwrap_or_default();
        return Problem::new(ProblemKind::InvalidField)
            .detail(format!("field \"{field}\" is missing"))
            .field(field);
    }
    let expected = text.split_once("expected ").map_or("", |(_, expected)| before_place(expected));
    let detail = if expected.is_empty() {
        "a field has the wrong type".to_owned()
    } else {
        format!("expected {expected}")
    };
    Problem::new(ProblemKind::InvalidField).detail(format!(
        "{detail} (line {}, column {})",
        error.line(),
        error.column()
    ))
}

fn before_place(text: &str) -> &str {
    text.split(" at line ").next().unwrap_or_default()
}

/// Reads one field's text as a checked value.
pub(super) fn field<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Result<T, Problem> {
    field_as(ProblemKind::InvalidField, name, text)
}

/// The same with a problem kind of its own.
pub(super) fn field_as<T: std::str::FromStr<Err: std::fmt::Display>>(
    kind: ProblemKind,
    name: &str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new(kind).detail(format!("{error}")).field(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body as HttpBody, to_bytes};
    use axum::middleware::{Next, from_fn};
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use serde::Deserialize;
    use tenancy::{Permission, TenantId};

    /// A name may change hands between the decision and the handler: the handler must not look it up again.
    #[tokio::test]
    async fn the_tenant_that_was_decided_about_takes_the_place_of_the_name() {
        let decided = TenantId::generate();
        let router = Router::new()
            .route("/{tenant}", get(async |Named(tenant): Named<String>| tenant))
            .route("/{tenant}/{of}", get(async |Named((tenant, of)): Named<(String, String)>| tenant + &of))
            .layer(from_fn(move |mut request: Request, next: Next| {
                request.extensions_mut().insert(ActsIn { tenant: decided, by: Permission::TenantRead });
                next.run(request)
            }));
        let service = TowerToHyperService::new(router);
        for (path, expected) in [("/acme", decided.to_string()), ("/acme/x%20y", format!("{decided}x y"))] {
            let request = Request::builder().uri(path).body(HttpBody::empty()).unwrap();
            let answer = service.call(request).await.unwrap();
            assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), expected, "{path}");
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read through Debug")]
        size: u32,
    }

    fn problem(text: &str) -> Problem {
        invalid(&serde_json::from_str::<Sample>(text).unwrap_err())
    }

    #[test]
    fn each_mistake_has_its_kind() {
        assert_eq!(problem(r#"{"size":1,"colour":2}"#).kind(), ProblemKind::UnknownField);
        assert_eq!(problem("{}").kind(), ProblemKind::InvalidField);
        assert_eq!(problem(r#"{"size":"a"}"#).kind(), ProblemKind::InvalidField);
        assert_eq!(problem(r#"{"size":-1}"#).kind(), ProblemKind::InvalidField);
        assert_eq!(problem("{size}").kind(), ProblemKind::MalformedBody);
        assert_eq!(problem("").kind(), ProblemKind::MalformedBody);
    }

    #[test]
    fn no_value_is_repeated() {
        let shown = serde_json::to_string(&problem(r#"{"size":"hunter2"}"#).document("r")).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_unknown_field_is_told_its_neighbours() {
        let shown = serde_json::to_value(problem(r#"{"sise":1}"#).document("r")).unwrap();
        assert_eq!(shown["field"], "sise");
        assert!(shown["hint"].as_str().unwrap().contains("size"));
    }
}

//! Every endpoint that changes something leaves an audit row of whoever asked for it, no row holds a secret, and the
//! chain of them holds. Each endpoint comes from the OpenAPI document, so a new one is asked for too.

mod examples;

use crate::fixture::{Answer, Plane};
use crate::idor::route::{self, Route};
use catalog_schema::{AuditFilter, AuditRecord, Page};
use examples::{Cast, Example};
use reqwest::Method;
use serde_json::{Value, json};

/// What leaves no row although it is no GET, and why. Whoever adds a route here has thought about it.
const LEAVES_NONE: &[(&str, &str)] = &[
    ("POST /v1/issuers/{issuer}/test", "it is a question"),
    ("POST /v1/tenants/{tenant}/issuers/{issuer}/test", "it is a question"),
];

/// Fields of requests and answers that hold secrets.
const SECRET_FIELDS: &[&str] =
    &["admin_dsn", "api_key", "connection_string", "current", "key", "new", "password", "token"];

/// What verifiers and hashes begin with: they are not for the record either.
const SECRET_FORMS: &[&str] = &["SCRAM-SHA-256$", "$argon2"];

/// The whole record.
async fn record(plane: &Plane) -> Vec<AuditRecord> {
    let mut rows: Vec<AuditRecord> = Vec::new();
    loop {
        let page = Page { after: rows.last().map(|row| row.seq), limit: 1_000 };
        let more = plane.catalog.audit(&AuditFilter::default(), &page).await.unwrap();
        if more.is_empty() {
            return rows;
        }
        rows.extend(more);
    }
}

/// Who a row has to name.
fn actor(cast: &Cast, route: &Route, answer: &Answer) -> String {
    match route.requires.as_str() {
        "operator" => "operator".to_owned(),
        // Whoever a stranger turned out to be.
        "public" => format!("user:{}", answer.body["session"]["user"].as_str().unwrap()),
        _ => format!("user:{}", cast.ann.id),
    }
}

async fn ask(cast: &Cast, route: &Route, example: &Example, request_id: &str) -> Answer {
    let plane = &cast.world.plane;
    let (method, path) = (route.method.clone(), example.path.as_str());
    let request = match route.requires.as_str() {
        "operator" => plane.request(method, path),
        "public" => plane.bare(method, path),
        _ => cast.ann.asks(plane, method, path),
    };
    let request = request.header("x-request-id", request_id);
    let answer = plane.send(example.body.iter().fold(request, |request, body| request.json(body))).await;
    assert_eq!(answer.headers["x-request-id"], request_id);
    answer
}

/// Every secret that stands in `document`.
fn secrets(document: &Value) -> Vec<String> {
    match document {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| secrets_of(name, value)).collect(),
        Value::Array(items) => items.iter().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

fn secrets_of(name: &str, value: &Value) -> Vec<String> {
    let Some(text) = value.as_str() else { return secrets(value) };
    let secret = text.strip_prefix("postgres://").map_or(text, |url| {
        let (login, _) = url.split_once('@').unwrap();
        login.split_once(':').map_or(text, |(_, password)| password)
    });
    SECRET_FIELDS.contains(&name).then(|| secret.to_owned()).into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_an_audit_row() {
    let cast = Cast::new().await;
    let mut told = vec![cast.ann.token.clone()];
    let changes: Vec<_> = route::all().into_iter().filter(|route| route.method != Method::GET).collect();
    for (none, _) in LEAVES_NONE {
        assert!(changes.iter().any(|route| route.name() == *none), "there is no {none}");
    }
    for (number, route) in changes.into_iter().map(Route::in_earnest).enumerate() {
        let (name, request_id) = (route.name(), format!("walk-{number}"));
        let example = cast.example(&route).await;
        let answer = ask(&cast, &route, &example, &request_id).await;
        told.extend(example.body.iter().chain([&answer.body]).flat_map(secrets));
        let mut rows = record(&cast.world.plane).await;
        // Workers go on with what was asked for, in their own name.
        rows.retain(|row| row.request_id == request_id && !row.actor.starts_with("worker:"));
        if let Some((_, why)) = LEAVES_NONE.iter().find(|(none, _)| *none == name) {
            assert!(answer.status < 300 || answer.problem() == "issuer-unreachable", "{name}: {answer:?}");
            assert!(rows.is_empty(), "{name} was to leave none, because {why}: {rows:?}");
            continue;
        }
        assert!((200..300).contains(&answer.status), "{name}: {answer:?}");
        assert!(!rows.is_empty(), "{name} left no audit row");
        let actor = actor(&cast, &route, &answer);
        assert!(rows.iter().all(|row| row.actor == actor), "{name} was asked for by {actor}: {rows:?}");
    }
    cast.world.plane.catalog.audit_verify().await.unwrap();
    holds_none(&record(&cast.world.plane).await, &told, &cast.ann.email);
}

fn holds_none(rows: &[AuditRecord], secrets: &[String], known: &str) {
    let text = format!("{rows:?}");
    assert!(text.contains(known), "the look itself works");
    for secret in secrets.iter().map(String::as_str).chain(SECRET_FORMS.iter().copied()) {
        assert!(secret.len() >= 7, "{secret:?} would be found anywhere");
        let holder = rows.iter().find(|row| format!("{row:?}").contains(secret));
        assert!(holder.is_none(), "{secret} is on record: {holder:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_leaves_none() {
    let plane = Plane::start().await;
    let before = plane.catalog.audit_verify().await.unwrap();
    let body = json!({ "slug": "acme", "region": "eu", "plan": "no-such-plan" });
    assert_eq!(plane.refused(plane.post("/v1/tenants", body)).await, "plan-unknown");
    assert_eq!(plane.catalog.audit_verify().await.unwrap(), before);
}

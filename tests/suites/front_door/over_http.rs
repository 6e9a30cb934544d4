//! A client of SQL over HTTP.

use crate::answers::{Answer, WHERE};
use crate::world::Proof;
use crate::{DOMAIN, STACK, Visit};
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName};
use serde_json::{Value, json};
use std::sync::LazyLock;
use tenancy::Source;

/// One for all: what a request says stands in the request.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

pub(crate) async fn pay(visit: &Visit) -> Answer {
    let path = visit.named(Source::Path).map_or("/sql".to_owned(), |place| format!("/t/{}/sql", place.slug));
    let url = format!("{}{path}", STACK.descriptor().gateway.http);
    let body = json!({ "query": WHERE, "arrayMode": true }).to_string();
    let mut request = CLIENT.post(url).body(body);
    if let Some(host) = host(visit) {
        request = request.header("Host", host);
    }
    if let Some(place) = visit.named(Source::Header) {
        request = request.header("X-Tenant-ID", place.slug);
    }
    if let Some(text) = connection_string(visit) {
        request = request.header("Neon-Connection-String", text);
    }
    if let Proof::Key(secret) | Proof::Token(secret) = &visit.proof {
        request = request.bearer_auth(secret);
    }
    let response = request.send().await.expect("the gateway answers");
    let status = response.status().as_u16();
    let headers = told_by(response.headers());
    let text = response.text().await.expect("text");
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    match body["rows"][0][0].as_str() {
        Some(database) if status == 200 => Answer::In(database.to_owned()),
        _ => {
            let code = body["code"].as_str().unwrap_or_default();
            Answer::refused(Some(status), code, &format!("{headers}{text}"))
        }
    }
}

/// What a request is called, which no other is.
const REQUEST_ID: &str = "neon-request-id";

/// The headers, but for what differs each time, and the length, in which names have a part.
fn told_by(headers: &HeaderMap) -> String {
    let differs = |name: &HeaderName| *name == DATE || *name == CONTENT_LENGTH || name == REQUEST_ID;
    let told = headers.iter().filter(|(name, _)| !differs(name));
    told.map(|(name, value)| format!("{name}: {value:?}; ")).collect()
}

fn host(visit: &Visit) -> Option<String> {
    if visit.uses(Source::Host) {
        return Some(visit.named(Source::Host).map_or(format!("www.{DOMAIN}"), |place| place.host()));
    }
    visit.named(Source::CustomDomain).map(|place| place.domain.clone())
}

/// It is where a password is, and some places that name a tenant. A second host has its place here too.
fn connection_string(visit: &Visit) -> Option<String> {
    let in_it = [Source::Option, Source::User, Source::Database];
    let has_two_hosts = visit.uses(Source::Host) && visit.uses(Source::CustomDomain);
    let password = match &visit.proof {
        Proof::Password(password) => format!(":{password}"),
        _ if has_two_hosts || in_it.iter().any(|source| visit.uses(*source)) => String::new(),
        _ => return None,
    };
    let slug = |source| visit.named(source).map(|place| place.slug);
    let suffix = slug(Source::User).map_or(String::new(), |slug| format!(".{slug}"));
    let host = visit.named(Source::CustomDomain).filter(|_| has_two_hosts);
    let host = host.map_or("127.0.0.1", |place| &place.domain);
    let database = slug(Source::Database).unwrap_or_default();
    let options = slug(Source::Option).map_or(String::new(), |slug| format!("?options=-c%20tenant%3D{slug}"));
    Some(format!("postgres://app{suffix}{password}@{host}/{database}{options}"))
}

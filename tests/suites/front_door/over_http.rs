//! A client of SQL over HTTP; over HTTPS if it has a certificate to show.

use crate::answers::{Answer, WHERE};
use crate::world::{ClientCertificate, Proof};
use crate::{DOMAIN, STACK, Visit, WORLD_FILES};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HOST, HeaderName};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::LazyLock;
use suites::tls::Tls;
use tenancy::Source;
use tokio::net::TcpStream;

/// One for all: what a request says stands in the request.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

/// Status, headers and body.
type Reply = (u16, HeaderMap, Bytes);

pub(crate) async fn pay(visit: &Visit) -> Answer {
    let path = visit.named(Source::Path).map_or("/sql".to_owned(), |place| format!("/t/{}/sql", place.slug));
    let (headers, body) = (headers(visit), json!({ "query": WHERE, "arrayMode": true }).to_string());
    let (status, headers, body) = match &visit.proof {
        Proof::Certificate(certificate) => over_tls(certificate, &path, headers, body).await,
        _ => in_clear(&path, headers, body).await,
    };
    let (headers, text) = (told_by(&headers), String::from_utf8_lossy(&body));
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    match body["rows"][0][0].as_str() {
        Some(database) if status == 200 => Answer::In(database.to_owned()),
        _ => {
            let code = body["code"].as_str().unwrap_or_default();
            Answer::refused(Some(status), code, &format!("{headers}{text}"))
        }
    }
}

async fn in_clear(path: &str, headers: HeaderMap, body: String) -> Reply {
    let url = format!("{}{path}", STACK.descriptor().gateway.http);
    let response = CLIENT.post(url).headers(headers).body(body).send().await.expect("the gateway answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.expect("a body"))
}

async fn over_tls(certificate: &ClientCertificate, path: &str, headers: HeaderMap, body: String) -> Reply {
    let address = STACK.descriptor().gateway.http.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    let tls = Tls::new(&WORLD_FILES.gateways.pem(), DOMAIN).showing(&certificate.signed);
    let stream = tls.alpn(&["http/1.1"]).over(stream).await.expect("TLS");
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let mut request = Request::post(path).body(Full::from(body)).expect("a request");
    *request.headers_mut() = headers;
    request.headers_mut().entry(HOST).or_insert(DOMAIN.parse().expect("a host"));
    let (head, body) = sender.send_request(request).await.expect("the gateway answers").into_parts();
    (head.status.as_u16(), head.headers, body.collect().await.expect("a body").to_bytes())
}

fn headers(visit: &Visit) -> HeaderMap {
    let bearer = match &visit.proof {
        Proof::Key(secret) | Proof::Token(secret) => Some(format!("Bearer {secret}")),
        _ => None,
    };
    let tenant = visit.named(Source::Header).map(|place| place.slug.to_owned());
    let all = [
        (HOST, host(visit)),
        (HeaderName::from_static("x-tenant-id"), tenant),
        (HeaderName::from_static("neon-connection-string"), connection_string(visit)),
        (AUTHORIZATION, bearer),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.map(|(name, value)| (name, value.parse().expect("plain text"))).collect()
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

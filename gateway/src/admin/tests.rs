use super::*;
use crate::admit::addresses::Addresses;
use crate::admit::gate::Gate;
use crate::authenticate::MockSeed;
use crate::authenticate::password::PasswordChecks;
use crate::authenticate::token::TokenChecks;
use crate::console::Console;
use crate::metrics::GatewayUsage;
use crate::pool::Registry;
use crate::resolve::Routes;
use crate::tls::ServerTlsSettings;
use crate::workers::Workers;
use catalog_schema::{Catalog, MasterKey};
use config::GatewayConfig;
use hyper::header::{ALLOW, CONTENT_TYPE};
use identity::Jwks;
use rustls::RootCertStore;
use std::sync::atomic::AtomicU32;
use tenancy::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Nothing listens there: the discard port is reserved, and no test opens it.
const NO_CATALOG: &str = "postgres://nobody@127.0.0.1:9/catalog";

/// What a gateway's tasks share, at a gateway that knows nobody.
pub(crate) async fn shared() -> Arc<Shared> {
    let config = GatewayConfig::default();
    let key = MasterKey::generate().expect("randomness");
    let mock_seed = MockSeed::new(&key);
    let dsn = Secret::from(NO_CATALOG.to_owned());
    let catalog = Catalog::connect(&dsn, key, 1).await.expect("a catalog may be away");
    let drain = CancellationToken::new();
    Arc::new(Shared {
        workers: Workers::start(1).expect("a thread"),
        routes: Arc::new(Routes::new(catalog, config.routes.clone(), drain.clone())),
        tls: None,
        pools: Arc::new(Registry::new(config.pool.clone(), ServerTlsSettings::default())),
        cancels: Arc::default(),
        clients: Arc::default(),
        gate: Gate::default(),
        console: Console::new(&config.console).expect("nobody to let in"),
        addresses: Addresses::new(&config.limits, &[]),
        logins_under_way: AtomicU32::new(0),
        usage: GatewayUsage::default(),
        progress: Arc::default(),
        mock_seed,
        passwords: PasswordChecks::default(),
        uses: Arc::default(),
        installation: Arc::default(),
        tokens: TokenChecks::new(Arc::default(), Jwks::new(config.identity.clone(), RootCertStore::empty())),
        client_places: Arc::new(Semaphore::new(1)),
        leaving: CancellationToken::new(),
        drain,
        cut_off: CancellationToken::new(),
        config,
    })
}

async fn admin() -> Admin {
    let shared = shared().await;
    Admin { metrics: Arc::new(GatewayMetrics::new(Arc::clone(&shared))), shared }
}

fn content_type(answer: &Answer) -> &str {
    answer.headers()[CONTENT_TYPE].to_str().expect("our own content types are text")
}

#[tokio::test]
async fn a_gateway_that_never_saw_the_catalog_is_alive_but_not_ready() {
    let admin = admin().await;
    assert_eq!(admin.answer(&Method::GET, "/healthz").await.status(), StatusCode::OK);
    let answer = admin.answer(&Method::GET, "/readyz").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(content_type(&answer), "application/problem+json");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_with_a_problem() {
    let admin = admin().await;
    for path in ["/", "/metrics/", "/routes", "/routes/Not%20a%20slug", "/routes/a/b"] {
        let answer = admin.answer(&Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(content_type(&answer), "application/problem+json");
    }
    let answer = admin.answer(&Method::POST, "/metrics").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
}

#[tokio::test]
async fn a_route_that_cannot_be_read_is_no_unknown_route() {
    let answer = admin().await.answer(&Method::GET, "/routes/acme").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn scrapes_are_served_over_a_socket_until_it_is_told_to_stop() {
    let shared = shared().await;
    let metrics = Arc::new(GatewayMetrics::new(Arc::clone(&shared)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(run(listener, shared, metrics, stop.clone()));

    let mut client = TcpStream::connect(address).await.expect("it listens");
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("text, then the end");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    assert!(answer.contains("\ntenantry_build_info{"), "{answer}");

    let mut silent = TcpStream::connect(address).await.expect("it listens");
    stop.cancel();
    serving.await.expect("a silent client does not keep it");
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

//! A gateway that is cut off from the catalog: nothing passes between the two, and neither is told.

use super::gateway_tokens::Person;
use super::{NEVER_MS, STACK, connect, domains, with_token};
use config::GatewayConfig;
use gateway::{Addresses, Gateway};
use harness::{Direction, End, Fault, FaultProxy, Tenant, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::net::SocketAddr;
use tenancy::Secret;
use tenantry::client::path;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config};
use tokio_util::sync::{CancellationToken, DropGuard};

/// One more gateway before the stack's clusters, with a wire to the catalog that can be cut. Ends when it is dropped.
struct Apart {
    addresses: Addresses,
    wire: FaultProxy,
    _stop: DropGuard,
    _running: JoinHandle<()>,
}

impl Apart {
    async fn start() -> Self {
        let dsn = STACK.descriptor().catalog_dsn.clone();
        let port = dsn.parse::<Config>().unwrap().get_ports()[0];
        let wire = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], port))).await;
        let text = std::fs::read_to_string(STACK.gateway_config()).unwrap();
        let mut config = GatewayConfig::parse(&text, |_| None).unwrap();
        let through = dsn.replace(&format!(":{port}/"), &format!(":{}/", wire.address().port()));
        config.catalog.dsn = Secret::new(through);
        config.name = "apart".to_owned();
        config.routes.resync_interval_ms = NEVER_MS;
        for address in [&mut config.listen.pg, &mut config.listen.http, &mut config.listen.admin] {
            address.set_port(0);
        }
        let built = Gateway::build(config).await.unwrap();
        let (addresses, stop) = (built.addresses(), CancellationToken::new());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { built.run(stop).await.unwrap() }
        });
        let apart = Self { addresses, wire, _stop: stop.drop_guard(), _running: running };
        let ready = format!("http://{}/readyz", apart.addresses.admin);
        eventually("the gateway is ready", async || {
            reqwest::get(&ready).await.ok()?.status().is_success().then_some(())
        })
        .await;
        apart
    }

    fn cut_off(&self) {
        for direction in [Direction::ToTarget, Direction::FromTarget] {
            self.wire.set(direction, Fault::After(0, End::BlackHole));
        }
        self.wire.end_all(End::BlackHole);
    }

    fn mend(&self) {
        for direction in [Direction::ToTarget, Direction::FromTarget] {
            self.wire.set(direction, Fault::None);
        }
        self.wire.end_all(End::Reset);
    }

    /// The status of a request with this key, for this host, or with this tenant in its header.
    async fn status(&self, key: &str, header: (&'static str, &str)) -> StatusCode {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let request = client.post(format!("http://{}/sql", self.addresses.http)).bearer_auth(key);
        let request = request.header(header.0, header.1).body(json!({ "query": "select 1" }).to_string());
        request.send().await.unwrap().status()
    }

    async fn misses(&self) -> f64 {
        let metrics = reqwest::get(format!("http://{}/metrics", self.addresses.admin))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let line =
            metrics.lines().find(|line| line.starts_with("tenantry_route_cache_misses_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// A connection with a gateway token.
    async fn connect(&self, tenant: &Tenant, token: &str) -> Client {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.addresses.pg.port()).dbname(&tenant.slug);
        config.user("token").password(token);
        eventually("the gateway knows what signed the token", async || connect(&config).await.ok()).await
    }
}

async fn is_over(client: &Client) {
    eventually("the connection ends", async || client.simple_query("select 1").await.err().map(drop)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_tenants_are_served_by_any_host_and_domains_lead_where_they_led() {
    let [tenant, other] =
        [STACK.create_tenant("apart", "eu").await, STACK.create_tenant("apart-other", "us").await];
    domains::own(&other, "sql.apart.example").await;
    let apart = Apart::start().await;
    let foreign = ("host", "gateway.example.com");
    assert_eq!(apart.status(&tenant.api_key, foreign).await, 200);
    assert_eq!(apart.status(&other.api_key, ("host", "sql.apart.example")).await, 200);
    apart.cut_off();
    for (key, host, status) in [
        (&tenant.api_key, "gateway.example.com", 200),
        (&tenant.api_key, "never.seen.before.example", 200),
        (&tenant.api_key, "sql.apart.example", 403),
        (&other.api_key, "sql.apart.example", 200),
    ] {
        assert_eq!(apart.status(key, ("host", host)).await, status, "{host}");
    }
}

/// Routes tell of refused tokens for a quarter of an hour. A gateway may be away for longer.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_ended_long_ago_end_what_they_opened_once_the_gateway_is_back() {
    let tenant = STACK.create_tenant("apart-people", "eu").await;
    let [stays, leaves] = [
        Person::joins("apart-stays", &tenant, "owner").await,
        Person::joins("apart-leaves", &tenant, "member").await,
    ];
    let apart = Apart::start().await;
    let staying = apart.connect(&tenant, &stays.token(&tenant).await).await;
    let leaving = apart.connect(&tenant, &leaves.token(&tenant).await).await;
    let with_stack = connect(&with_token(&tenant, "token", &leaves.token(&tenant).await)).await.unwrap();
    apart.cut_off();
    leaves.signs_out().await;
    is_over(&with_stack).await;
    leaving.simple_query("select 1").await.unwrap();
    let long_ago = "delete from catalog.token_revocations r using catalog.tenants t where t.id = r.tenant_id and t.slug = $1";
    let catalog = STACK.catalog_admin().await;
    assert_eq!(catalog.execute(long_ago, &[&tenant.slug]).await.unwrap(), 1, "nobody is told any more");
    apart.mend();
    is_over(&leaving).await;
    staying.simple_query("select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_read_once_for_all_who_ask_by_its_id() {
    let [tenant, other] =
        [STACK.create_tenant("apart-crowd", "eu").await, STACK.create_tenant("apart-first", "eu").await];
    let service = json!({ "name": "apart", "role": "viewer", "expires_at": "2999-01-01T00:00:00Z" });
    let service = STACK.must(Method::POST, &path(&["service-credentials"]), Some(&service)).await;
    let key = service["key"].as_str().unwrap();
    let apart = Apart::start().await;
    eventually("the gateway knows the service", async || {
        (apart.status(key, ("x-tenant-id", &other.id)).await == 200).then_some(())
    })
    .await;
    let before = apart.misses().await;
    let mut answers = Vec::new();
    for _ in 0..16 {
        answers.push(apart.status(key, ("x-tenant-id", &tenant.id)));
    }
    for status in futures_util::future::join_all(answers).await {
        assert_eq!(status, 200);
    }
    assert!((apart.misses().await - before - 1.0).abs() < f64::EPSILON, "one asked the catalog for all");
}

//! Who is asking, and for which tenant.
//!
//! [`tokens`] is how a token opens a tenant and what it may do there, [`attacks`] what only looks like one, [`issuers`]
//! what has to do with whose it is, [`shapes`] what is documented of well-known providers, [`providers`] what their
//! troubles and new keys do to those with tokens, and [`gateway_tokens`] those of the control plane itself.
//! [`sources`] is which tenant is meant, [`domains`] and [`renames`] what else it is called, [`keys`] API keys and their
//! rotation, [`services`] who may name a tenant by a header, [`withdrawal`] and [`endings`] what becomes of sessions,
//! [`cut_off`] what a gateway does without the catalog, [`allow_lists`] from where it is reached, [`features`] what it may
//! use, [`timing`] that strangers learn nothing by the clock.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

mod allow_lists;
mod attacks;
mod cut_off;
mod domains;
mod endings;
mod features;
mod gateway_tokens;
mod issuers;
mod keys;
mod people;
mod providers;
mod renames;
mod services;
mod shapes;
mod sources;
mod timing;
mod tokens;
mod withdrawal;

use config::DomainsConfig;
use harness::{NameServer, Oidc, SharedStack, Stack, Tenant, oidc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;
use tenantry::client::path;
use tenantry::dev::StackOptions;
use tokio_postgres::{Client, Config, Error, NoTls};

/// Nothing becomes known by the lapse of time here: what a test sees soon, a notification has brought.
const NEVER_MS: u64 = 60_000;

/// How soon a provider is asked again.
const JWKS_RETRY: Duration = Duration::from_millis(100);

/// The name server that the stack's control plane asks.
static NAMES: OnceLock<NameServer> = OnceLock::new();

/// A gateway and a control plane that ask providers again soon, and tenants' own on this machine too.
static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let names = NameServer::start().await;
        let address = names.address();
        NAMES.set(names).expect("there is one stack");
        let options = StackOptions::ephemeral()
            .gateway(|gateway| {
                gateway.routes.resync_interval_ms = NEVER_MS;
                gateway.identity.jwks_timeout_ms = 2_000;
                gateway.identity.jwks_retry_interval_ms =
                    JWKS_RETRY.as_millis().try_into().expect("it is short");
                gateway.identity.private_issuers = true;
                gateway.listen.trusted_proxies = vec![IpAddr::from(allow_lists::PROXY).into()];
            })
            .control_plane(move |control_plane| {
                control_plane.identity.private_issuers = true;
                control_plane.domains =
                    DomainsConfig { name_server: Some(address), recheck_s: 1, grace_s: 1 };
            });
        Stack::start_with(options).await
    })
});

/// Registers a provider that may vouch for any tenant, of the shape `tenant` with slugs, or as `settings` say.
async fn register(oidc: &Oidc, settings: Value) -> String {
    created(&path(&["issuers"]), oidc, settings).await
}

/// Registers a provider of a tenant's own.
async fn register_own(tenant: &Tenant, oidc: &Oidc, settings: Value) -> String {
    created(&path(&["tenants", &tenant.id, "issuers"]), oidc, settings).await
}

async fn created(path: &str, oidc: &Oidc, settings: Value) -> String {
    let mut body = json!({
        "iss": oidc.iss(), "audiences": [oidc::AUDIENCE], "jwks_url": oidc.jwks_url(), "tenant_form": "slug",
    });
    for (name, value) in settings.as_object().unwrap() {
        body[name] = value.clone();
    }
    let issuer = STACK.must(Method::POST, path, Some(&body)).await;
    issuer["id"].as_str().unwrap().to_owned()
}

/// What a member's token of the shape `tenant` says.
fn member_of(tenant: &Tenant) -> Value {
    json!({ "tenant_id": tenant.slug, "role": "member" })
}

/// A request to `/sql` with a token.
fn sql(token: &str, query: &str) -> RequestBuilder {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let body = json!({ "query": query, "arrayMode": true });
    client.post(format!("{}/sql", STACK.descriptor().gateway.http)).bearer_auth(token).body(body.to_string())
}

/// Status and body.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The body of a request that is refused with this status.
async fn refused(request: RequestBuilder, status: u16) -> Value {
    let (got, body) = answer(request).await;
    assert_eq!(got, status, "{body:#}");
    body
}

/// The first value that a query over HTTP gives, with a token that is good.
async fn value(token: &str, query: &str) -> String {
    let (status, body) = answer(sql(token, query)).await;
    assert_eq!(status, 200, "{body:#}");
    body["rows"][0][0].as_str().unwrap().to_owned()
}

/// The physical database of a tenant.
async fn database_of(tenant: &Tenant) -> String {
    tenant.connect().await.query_one("select current_database()::text", &[]).await.unwrap().get(0)
}

/// A PostgreSQL client's settings to log in with a token.
fn with_token(tenant: &Tenant, user: &str, token: &str) -> Config {
    let mut config = tenant.config();
    config.user(user).password(token);
    config
}

async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The SQLSTATE that a login is refused with.
async fn sqlstate(config: &Config) -> String {
    let Err(error) = connect(config).await else { panic!("it is let in") };
    error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
}

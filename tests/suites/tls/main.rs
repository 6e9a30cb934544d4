//! TLS, with clients and with servers, as real clients and servers speak it.
//!
//! [`handshakes`] how a connection becomes encrypted or does not, [`names`] what the name that a client asks for
//! decides, [`logins`] what TLS has to do with who gets in, [`tools`] libpq's own view of all that, [`reloads`] new
//! certificates, [`traffic`] what then passes through, [`https`] the other listener, [`strict`] a gateway that
//! demands everything, [`servers`] the way to the clusters, and [`middle`] who may be on it,
//! [`console`] operators, [`websocket`] PostgreSQL's protocol on the other listener.

mod console;
mod handshakes;
mod https;
mod logins;
mod middle;
mod names;
mod reloads;
mod servers;
mod strict;
mod tools;
mod traffic;
mod websocket;

use client::Tls;
use config::{ClientAuth, TlsConfig, TlsListenerMode, TlsVersion};
use harness::{SharedStack, Stack, Tenant};
use std::net::SocketAddr;
use std::sync::LazyLock;
use suites::certs::{self, Authority, Files, Signed};
use suites::tls as client;
use tenantry::dev::StackOptions;

/// Below it host names name tenants.
const DOMAIN: &str = "db.example.com";

/// Files are looked at often, so that tests need not wait.
const RELOAD_INTERVAL_MS: u64 = 100;

/// Everything that the gateways of this suite have on disk, and those who signed it.
struct World {
    authority: Authority,
    clients: Authority,
    files: Files,
    /// For the domain and all names right below it.
    main: Signed,
    /// For one tenant's own name.
    own: Signed,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (authority, clients) = (Authority::new("gateways"), Authority::new("clients"));
    let files = Files::new("suite");
    files.write("ca.crt", &authority.pem());
    files.write("clients-ca.crt", &clients.pem());
    let main = authority.sign(&[DOMAIN, "*.db.example.com", "gateway.localhost"], true);
    let own = authority.sign(&["own.db.example.com"], false);
    World { authority, clients, files, main, own }
});

/// A gateway that allows TLS and asks for nothing.
static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let files = &WORLD.files;
        let tls = TlsConfig {
            mode: TlsListenerMode::Allow,
            http_mode: TlsListenerMode::Allow,
            certificates: vec![files.write_pair("main", &WORLD.main), files.write_pair("own", &WORLD.own)],
            client_ca_file: Some(files.path("clients-ca.crt")),
            client_auth: ClientAuth::Optional,
            client_auth_is_login: true,
            reload_interval_ms: RELOAD_INTERVAL_MS,
            ..TlsConfig::default()
        };
        let options = StackOptions::ephemeral().gateway(move |gateway| {
            gateway.tls = tls.clone();
            gateway.listen.domain = Some(DOMAIN.to_owned());
        });
        Stack::start_with(options).await
    })
});

/// A gateway that demands TLS 1.3 and a certificate.
static STRICT: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let files = &WORLD.files;
        let tls = TlsConfig {
            mode: TlsListenerMode::Require,
            http_mode: TlsListenerMode::Require,
            certificates: vec![files.write_pair("strict", &WORLD.main)],
            client_ca_file: Some(files.path("clients-ca.crt")),
            client_auth: ClientAuth::Required,
            min_version: TlsVersion::Tls13,
            ..TlsConfig::default()
        };
        let options = StackOptions::ephemeral().gateway(move |gateway| gateway.tls = tls.clone());
        Stack::start_with(options).await
    })
});

/// Where a stack's gateway serves PostgreSQL clients.
fn address(stack: &Stack) -> SocketAddr {
    stack.descriptor().gateway.pg.parse().expect("an address")
}

/// A client that trusts the gateways' authority.
fn tls() -> Tls {
    Tls::new(&WORLD.authority.pem(), DOMAIN)
}

/// The startup packet of a tenant's first user.
fn startup(tenant: &Tenant) -> [(&str, &str); 2] {
    [("user", "app"), ("database", &tenant.slug)]
}

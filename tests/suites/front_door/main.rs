//! Everything that can name a tenant, with everything that can prove something, in every state of either: one table.
//!
//! [`table`] reads what is expected from `table.txt`, [`axes`] is what is combined, [`world`] the tenants, and
//! [`credentials`], [`issuers`], [`people`] and [`gateway_tokens`] what opens them; [`over_http`] and [`on_the_wire`] are the
//! clients, and [`answers`] what they hear. [`combinations`] is the test, with [`secrecy`] and [`disagreements`].

mod answers;
mod axes;
mod combinations;
mod credentials;
mod disagreements;
mod gateway_tokens;
mod issuers;
mod on_the_wire;
mod over_http;
mod people;
mod secrecy;
mod table;
mod world;

use answers::Answer;
use axes::{Combination, Way};
use config::{ClientAuth, DomainsConfig, TlsConfig, TlsListenerMode};
use harness::{NameServer, SharedStack, Stack};
use std::sync::{LazyLock, OnceLock};
use suites::certs::{Authority, Files};
use tenancy::Source;
use tenantry::dev::StackOptions;
use world::{Place, Proof, World};

/// Below it host names name tenants.
const DOMAIN: &str = "db.example.com";

/// A day: nothing becomes known or is lost by the lapse of time.
const DAY_S: u64 = 86_400;

/// Who signed what the gateway and its clients show, and where that is on disk.
struct WorldFiles {
    gateways: Authority,
    clients: Authority,
    files: Files,
}

static WORLD_FILES: LazyLock<WorldFiles> = LazyLock::new(|| WorldFiles {
    gateways: Authority::new("gateways"),
    clients: Authority::new("clients"),
    files: Files::new("front-door"),
});

/// The name server that the stack's control plane asks.
static NAMES: OnceLock<NameServer> = OnceLock::new();

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let names = NameServer::start().await;
        let address = names.address();
        assert!(NAMES.set(names).is_ok(), "there is one stack");
        let tls = tls();
        let options = StackOptions::ephemeral()
            .gateway(move |gateway| {
                gateway.tls = tls.clone();
                gateway.listen.domain = Some(DOMAIN.to_owned());
                gateway.identity.jwks_retry_interval_ms = 100;
                gateway.identity.private_issuers = true;
                // Nearly everybody here is refused, and all come from one address.
                gateway.limits.address_failed_logins_per_minute = 0;
            })
            .control_plane(move |control_plane| {
                control_plane.identity.private_issuers = true;
                control_plane.people.gateway_token_s = 600;
                control_plane.domains =
                    DomainsConfig { name_server: Some(address), recheck_s: DAY_S, grace_s: DAY_S };
            });
        Stack::start_with(options).await
    })
});

fn tls() -> TlsConfig {
    let WorldFiles { gateways, clients, files } = &*WORLD_FILES;
    let domains = world::SLUGS.map(|slug| format!("{slug}.example"));
    let mut names = vec![DOMAIN, "*.db.example.com"];
    names.extend(domains.iter().map(String::as_str));
    TlsConfig {
        mode: TlsListenerMode::Allow,
        http_mode: TlsListenerMode::Allow,
        certificates: vec![files.write_pair("main", &gateways.sign(&names, true))],
        client_ca_file: Some(files.write("clients-ca.crt", &clients.pem())),
        client_auth: ClientAuth::Optional,
        client_auth_is_login: true,
        ..TlsConfig::default()
    }
}

/// One client: what it says of its tenant, each place with the tenant that it names, and what it shows.
#[derive(Debug)]
struct Visit {
    way: Way,
    names: Vec<(Source, Option<Place>)>,
    proof: Proof,
}

impl Visit {
    /// The place that this source names.
    fn named(&self, source: Source) -> Option<&Place> {
        self.names.iter().find(|(known, _)| *known == source)?.1.as_ref()
    }

    fn uses(&self, source: Source) -> bool {
        self.names.iter().any(|(known, _)| *known == source)
    }

    async fn pay(&self) -> Answer {
        match self.way {
            Way::Http => over_http::pay(self).await,
            Way::Wire => on_the_wire::pay(self).await,
        }
    }
}

/// What the client of a combination hears.
async fn knock(world: &World, combination: Combination) -> Answer {
    let Combination { way, source, case, .. } = combination;
    let names = vec![(source, World::named(case))];
    Visit { way, names, proof: world.proof(combination) }.pay().await
}

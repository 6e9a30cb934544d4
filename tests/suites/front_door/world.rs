//! Tenants, and everything that opens them or once did.

use crate::axes::{Case, Combination, Kind};
use crate::combinations::AT_ONCE;
use crate::credentials::{self, Proofs, Spoil};
use crate::issuers::Issuers;
use crate::{DOMAIN, NAMES, STACK, gateway_tokens, people};
use futures_util::{StreamExt, stream};
use harness::{Tenant, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use suites::certs::Signed;
use tenancy::Source;
use tenantry::client::path;

/// What a client shows.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Nothing,
    /// The password of the user `app`.
    Password(String),
    /// What is no token: a bearer's over HTTP, a password on the wire.
    Key(String),
    Token(String),
    Certificate(Box<ClientCertificate>),
}

#[derive(Clone)]
pub(crate) struct ClientCertificate {
    pub user: &'static str,
    pub signed: Signed,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.user)
    }
}

/// What a tenant is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub slug: &'static str,
    /// A domain of its own.
    pub domain: String,
}

impl Place {
    fn of(slug: &'static str) -> Self {
        Self { slug, domain: format!("{slug}.example") }
    }

    /// Its name below the gateway's domain.
    pub(crate) fn host(&self) -> String {
        format!("{}.{DOMAIN}", self.slug)
    }
}

pub(crate) const MINE: &str = "door-mine";
pub(crate) const OTHER: &str = "door-other";
pub(crate) const SUSPENDED: &str = "door-asleep";
pub(crate) const PURGED: &str = "door-gone";
pub(crate) const UNKNOWN: &str = "door-nobody";

/// Names of tenants, those that there are and those that there are not.
pub(crate) const SLUGS: [&str; 5] = [MINE, OTHER, SUSPENDED, PURGED, UNKNOWN];

/// Everything that the combinations are made of.
pub(crate) struct World {
    /// Where tenants' data are, by slug.
    databases: HashMap<&'static str, String>,
    proofs: HashMap<Kind, Proofs>,
    any: Issuers,
    own: Issuers,
}

/// The tenants whose credentials there are.
pub(crate) struct Owners {
    pub mine: Tenant,
    pub suspended: Tenant,
    pub purged: Tenant,
}

impl World {
    /// Makes it: all credentials first, which have to be good; then those of them that are to be of no use are spoilt.
    pub(crate) async fn prepare() -> Self {
        let tenant = |slug| STACK.create_tenant(slug, "eu");
        let (mine, other, suspended, purged) =
            tokio::join!(tenant(MINE), tenant(OTHER), tenant(SUSPENDED), tenant(PURGED));
        let mut databases = HashMap::new();
        for (slug, tenant) in [(MINE, &mine), (OTHER, &other)] {
            let row = tenant.connect().await.query_one("select current_database()::text", &[]).await;
            databases.insert(slug, row.expect("an answer").get(0));
        }
        tokio::join!(has_domain(&mine), has_domain(&other), has_domain(&suspended), has_domain(&purged));
        let owners = Owners { mine, suspended, purged };
        let (any, own, made, person) = tokio::join!(
            Issuers::any(),
            Issuers::own(&owners),
            credentials::make(&owners),
            people::Person::joins(&owners)
        );
        let (mut proofs, mut spoils) = made;
        let (tokens, spoil) = gateway_tokens::make(&person, &owners).await;
        proofs.insert(Kind::GatewayToken, tokens);
        spoils.push(spoil);
        let world = Self { databases, proofs, any, own };
        world.everything_opens().await;
        stream::iter(spoils).for_each_concurrent(AT_ONCE, Spoil::happen).await;
        tokio::join!(world.any.spoil(), world.own.spoil());
        person.sessions_end().await;
        tokio::join!(STACK.change_state(SUSPENDED, "suspend"), STACK.delete_tenant(PURGED));
        world.what_is_spoilt_opens_nothing().await;
        world
    }

    /// The tenant that the credential of a case is for.
    fn owner(case: Case) -> &'static str {
        match case {
            Case::Suspended => SUSPENDED,
            Case::Purged => PURGED,
            _ => MINE,
        }
    }

    /// The tenant that is named in a case, if one is.
    pub(crate) fn named(case: Case) -> Option<Place> {
        match case {
            Case::Other => Some(Place::of(OTHER)),
            Case::Unknown => Some(Place::of(UNKNOWN)),
            Case::NoTenant => None,
            _ => Some(Place::of(Self::owner(case))),
        }
    }

    /// The database that serves whoever is let in.
    pub(crate) fn database(&self, case: Case) -> Option<&str> {
        let named = World::named(case).filter(|named| self.databases.contains_key(named.slug));
        let slug = named.map_or(Self::owner(case), |named| named.slug);
        self.databases.get(slug).map(String::as_str)
    }

    /// What the client of a combination shows.
    pub(crate) fn proof(&self, combination: Combination) -> Proof {
        let Combination { source, kind, case, .. } = combination;
        let Some(issuers) = self.issuers(kind) else {
            return self.proofs.get(&kind).map_or(Proof::Nothing, |proofs| proofs.of(case).clone());
        };
        let claim = match (source, kind) {
            (Source::Token, _) => World::named(case).map(|named| named.slug),
            // Its issuer is the tenant's own, so it has no need of naming it.
            (_, Kind::OwnToken) => None,
            _ => Some(Self::owner(case)),
        };
        Proof::Token(issuers.token(case, claim))
    }

    /// A token for this tenant that no issuer has signed.
    pub(crate) fn made_up_token(&self, kind: Kind, tenant: Option<&Place>) -> Proof {
        let issuers = self.issuers(kind).expect("providers' tokens are made up");
        Proof::Token(issuers.token(Case::Wrong, tenant.map(|place| place.slug)))
    }

    const fn issuers(&self, kind: Kind) -> Option<&Issuers> {
        match kind {
            Kind::Token => Some(&self.any),
            Kind::OwnToken => Some(&self.own),
            _ => None,
        }
    }

    /// What is going to be spoilt is good at first: else it would prove nothing that it is refused.
    async fn everything_opens(&self) {
        let is_made_bad = |kind| matches!(kind, Kind::Token | Kind::OwnToken | Kind::GatewayToken);
        let good = everywhere().filter(|one| match one.case {
            Case::Other | Case::NoTenant | Case::Unknown | Case::Wrong => false,
            Case::Expired => !is_made_bad(one.kind),
            _ => true,
        });
        self.come_to_be(good, true).await;
    }

    async fn what_is_spoilt_opens_nothing(&self) {
        // A provider is asked for its new keys when a token of one of them comes.
        self.come_to_be(everywhere().filter(|one| one.case == Case::GoneNew), true).await;
        let spoilt = |case| {
            matches!(case, Case::Purged | Case::Suspended | Case::Expired | Case::Revoked | Case::GoneOld)
        };
        self.come_to_be(everywhere().filter(|one| spoilt(one.case)), false).await;
    }

    /// Waits until they are let in, or are not.
    async fn come_to_be(&self, combinations: impl Iterator<Item = Combination>, is_in: bool) {
        let each = stream::iter(combinations).for_each_concurrent(AT_ONCE, async |one| {
            let words = format!("{}: let in {is_in}", one.in_words());
            wait_until(&words, async || crate::knock(self, one).await.is_in() == is_in).await;
        });
        each.await;
    }
}

/// Each credential in each case, at a place where it is good if it is good anywhere.
fn everywhere() -> impl Iterator<Item = Combination> {
    Combination::all().filter(|one| {
        let place = match one.kind {
            Kind::Certificate => Source::ServerName,
            _ => Source::Host,
        };
        one.kind != Kind::Nothing && one.source == place && one.is_possible()
    })
}

async fn has_domain(tenant: &Tenant) {
    let domains = path(&["tenants", &tenant.id, "domains"]);
    let domain = format!("{}.example", tenant.slug);
    let asked = STACK.must(Method::POST, &domains, Some(&json!({ "domain": domain }))).await;
    let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str).expect("a challenge");
    let names = NAMES.get().expect("the stack is up");
    names.set(text("/challenge/name"), &[text("/challenge/value")]);
    let verify = path(&["tenants", &tenant.id, "domains", &domain, "verify"]);
    STACK.must(Method::POST, &verify, None).await;
}

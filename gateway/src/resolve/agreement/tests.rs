use super::*;
use crate::pool::tests::route;
use crate::resolve::routes::tests::routes;
use catalog_schema::{ChangedDomains, IdentityDocument, RouteRecord};
use tenancy::{DomainName, TenantId};

fn domain(text: &str) -> DomainName {
    text.parse().expect("a domain")
}

/// A tenant with a former name.
fn acme() -> RouteRecord {
    RouteRecord { aliases: vec!["old-acme".parse().expect("a slug")], ..route() }
}

/// Two tenants that are cached, in front of a catalog that cannot be asked.
struct World {
    routes: Routes,
    installation: Installation,
    anomalies: Anomalies,
    acme: TenantId,
}

impl World {
    async fn new() -> Self {
        let routes = routes(9).await;
        let other = RouteRecord { slug: "other".parse().expect("a slug"), ..route() };
        routes.insert(other);
        let acme = routes.insert(acme()).id();
        let installation = Installation::default();
        // One whose tenant is not cached, and one whose tenant is.
        let domains = [(domain("sql.acme.org"), acme), (domain("sql.far.org"), TenantId::generate())];
        installation.domains().replace(&ChangedDomains::All, domains.into());
        installation.replace(IdentityDocument::default());
        Self { routes, installation, anomalies: Anomalies::default(), acme }
    }

    async fn decide(&self, claims: &[Claim], bound: Option<Source>) -> Result<Option<String>, ErrorKind> {
        let Self { routes, installation, anomalies, .. } = self;
        let court = Court { routes, installation, anomalies, listener: Listener::Http };
        let claims = Claims::in_order(claims.iter().cloned(), &Source::ALL);
        let bound = bound.map(|source| (source, self.routes.cached(self.acme).expect("it is cached")));
        let found = court.decide(&claims, bound).await.map_err(|refusal| refusal.kind())?;
        Ok(found.map(|found| found.in_words()))
    }

    fn anomalies(&self) -> u64 {
        self.anomalies.read().iter().map(|pair| pair.count).sum()
    }
}

fn name(source: Source, name: &str) -> Claim {
    Claim::name(source, name)
}

#[tokio::test]
async fn names_ids_and_domains_of_one_tenant_agree() {
    let world = World::new().await;
    let acme = Ok(Some(world.acme.to_string()));
    let all = [
        name(Source::Host, "acme"),
        name(Source::Path, "old-acme"),
        Claim::domain(domain("sql.acme.org")),
        Claim::id_or_name(Source::Header, &world.acme.to_string()),
    ];
    assert_eq!(world.decide(&all, None).await, acme);
    assert_eq!(world.decide(&all, Some(Source::ApiKey)).await, acme);
    assert_eq!(world.decide(&[], Some(Source::ApiKey)).await, acme);
    assert_eq!(world.decide(&[], None).await, Ok(None));
    assert_eq!(world.anomalies(), 0);
}

#[tokio::test]
async fn two_tenants_are_refused_and_counted() {
    let world = World::new().await;
    let pairs = [
        [name(Source::Host, "acme"), name(Source::Path, "other")],
        [name(Source::Host, "other"), Claim::domain(domain("sql.acme.org"))],
        [name(Source::Path, "acme"), name(Source::Database, "No Slug")],
        [name(Source::Option, "No Slug"), name(Source::Database, "nor this")],
    ];
    for (at, pair) in (1..).zip(&pairs) {
        assert_eq!(world.decide(pair, None).await, Err(ErrorKind::TenantConflict), "{pair:?}");
        assert_eq!(world.anomalies(), at);
    }
    let unknown = TenantId::generate().to_string();
    for claim in [name(Source::Host, "other"), Claim::id_or_name(Source::Header, &unknown)] {
        assert_eq!(world.decide(&[claim], Some(Source::ApiKey)).await, Err(ErrorKind::TenantConflict));
    }
}

#[tokio::test]
async fn what_a_client_fills_in_counts_only_alone() {
    let world = World::new().await;
    let filled_in = Claim::database("other", "other").expect("it is not empty");
    let with = |first: Claim| [first, filled_in.clone()];
    let acme = Ok(Some(world.acme.to_string()));
    assert_eq!(world.decide(&with(name(Source::Host, "acme")), None).await, acme);
    assert_eq!(world.decide(std::slice::from_ref(&filled_in), Some(Source::Token)).await, acme);
    let alone = world.decide(&[filled_in], None).await;
    assert!(alone.is_ok_and(|found| found.is_some()));
    assert_eq!(world.anomalies(), 0);
}

#[tokio::test]
async fn a_foreign_host_names_nobody_and_nobody_is_asked() {
    let world = World::new().await;
    let gateway = Claim::domain(domain("gateway.example.com"));
    let acme = Ok(Some(world.acme.to_string()));
    assert_eq!(world.decide(&[gateway.clone(), name(Source::Database, "acme")], None).await, acme);
    assert_eq!(world.decide(std::slice::from_ref(&gateway), Some(Source::ApiKey)).await, acme);
    assert_eq!(world.decide(&[gateway], None).await, Ok(None));
    assert_eq!(world.anomalies(), 0);
}

#[tokio::test]
async fn whoever_proves_nothing_has_nobody_looked_up() {
    let world = World::new().await;
    let World { routes, installation, anomalies, .. } = &world;
    let court = Court { routes, installation, anomalies, listener: Listener::Http };
    let names_any = async |claim: Claim| court.names_any(&Claims::in_order([claim], &Source::ALL)).await.ok();
    let unknown = TenantId::generate().to_string();
    assert_eq!(names_any(Claim::id_or_name(Source::Header, &unknown)).await, Some(true));
    assert_eq!(names_any(name(Source::Host, "nobody-knows")).await, Some(true));
    assert_eq!(names_any(Claim::domain(domain("sql.far.org"))).await, Some(true));
    assert_eq!(names_any(Claim::domain(domain("gateway.example.com"))).await, Some(false));
    assert_eq!(routes.misses.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_domain_of_a_tenant_that_cannot_be_looked_up_is_another_tenants_all_the_same() {
    let world = World::new().await;
    let far = Claim::domain(domain("sql.far.org"));
    let decided = world.decide(std::slice::from_ref(&far), Some(Source::ApiKey)).await;
    assert_eq!(decided, Err(ErrorKind::TenantConflict));
    assert_eq!(world.decide(&[far], None).await, Err(ErrorKind::CatalogUnavailable));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_just_started_has_foreign_hosts_wait_for_its_first_look_at_the_catalog() {
    let world = World { installation: Installation::default(), ..World::new().await };
    let foreign = [name(Source::User, "acme"), Claim::domain(domain("gateway.example.com"))];
    let first_look = async {
        tokio::task::yield_now().await;
        world.installation.replace(IdentityDocument::default());
    };
    let never = World { installation: Installation::default(), ..World::new().await };
    assert_eq!(never.decide(&foreign, None).await, Err(ErrorKind::CatalogUnavailable));
    let (decided, ()) = tokio::join!(world.decide(&foreign, None), first_look);
    assert_eq!(decided, Ok(Some(world.acme.to_string())));
}

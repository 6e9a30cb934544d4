use super::*;
use crate::admit;
use crate::pool::tests::route;
use catalog_schema::MasterKey;
use std::sync::atomic::Ordering;
use tenancy::Secret;

/// Nothing listens there: the discard port is reserved, and no test opens it.
const NO_CATALOG: &str = "postgres://nobody@127.0.0.1:9/catalog";

pub(in crate::resolve) async fn routes(capacity: usize) -> Routes {
    let key = MasterKey::generate().expect("randomness");
    let dsn = Secret::from(NO_CATALOG.to_owned());
    let catalog = Catalog::connect(&dsn, key, 1).await.expect("a catalog may be away");
    let settings = RouteCacheConfig { capacity, ..config::GatewayConfig::default().routes };
    Routes::new(catalog, settings, CancellationToken::new())
}

fn named(slug: &str) -> RouteRecord {
    RouteRecord { slug: slug.parse().expect("a slug"), ..route() }
}

#[tokio::test]
async fn a_read_that_overlaps_a_change_is_repeated_and_only_the_last_is_cached() {
    let routes = routes(9).await;
    let reads = AtomicU64::new(0);
    let record = named("acme");
    let loaded = routes.load(|| {
        if reads.fetch_add(1, Ordering::AcqRel) == 0 {
            routes.changes_begin();
        }
        assert!(routes.is_empty());
        std::future::ready(Ok(Some(record.clone())))
    });
    let tenant = loaded.await.ok().flatten().expect("it is there");
    assert_eq!(reads.load(Ordering::Acquire), 2);
    assert!(routes.knows(&tenant));
}

#[tokio::test]
async fn what_was_not_found_amid_a_change_is_not_remembered() {
    let routes = routes(9).await;
    let remembered = AtomicU64::new(0);
    let remember = || _ = remembered.fetch_add(1, Ordering::AcqRel);
    let seen = *routes.changes_seen();
    routes.if_unchanged(seen, remember);
    routes.changes_begin();
    routes.if_unchanged(seen, remember);
    assert_eq!(remembered.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn a_tenant_that_made_room_admits_nobody_and_one_with_clients_makes_none() {
    let routes = routes(1).await;
    let first = routes.insert(named("one"));
    routes.make_room();
    assert!(!routes.knows(&first));
    let refused = admit::admit(&first, &routes).err().expect("changes do not reach it");
    assert!(refused.kind().retryable() && first.is_idle());
    let second = routes.insert(named("two"));
    let _permit = admit::admit(&second, &routes).expect("it is cached");
    routes.make_room();
    assert!(routes.knows(&second));
}

#[tokio::test]
async fn a_name_is_a_tenants_only_while_its_route_says_so() {
    let routes = routes(9).await;
    let tenant = routes.insert(named("old"));
    let old: Slug = "old".parse().expect("a slug");
    assert!(routes.cached_by_slug(&old).is_some());
    tenant.replace_route(RouteRecord { tenant_id: tenant.id(), ..named("new") });
    assert!(routes.cached_by_slug(&old).is_none());
}

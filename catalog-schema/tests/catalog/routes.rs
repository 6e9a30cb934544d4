//! What a gateway reads.

use crate::fixture::{Fixture, VERIFIER, api_key, password, role_keys, slug};
use catalog_schema::{
    CREDENTIALS_LIVE_MAX, CatalogError, CredentialKind, Entitlement, Retention, TenantPatch,
};
use jiff::{SignedDuration, Timestamp};
use tenancy::TenantState;

#[tokio::test]
async fn a_route_has_all_that_a_gateway_needs() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let mut tx = fixture.tx().await;
    tx.credential_create(&password(id, "app")).await.unwrap();
    tx.credential_create(&api_key(id, [0xa5; 32])).await.unwrap();
    tx.commit().await.unwrap();

    let route = fixture.catalog.route_by_slug(&slug("acme")).await.unwrap().unwrap();
    assert_eq!((route.tenant_id, route.state), (id, TenantState::Active));
    assert_eq!(route.limits.pool_size, 5);
    let placement = route.placement.unwrap();
    assert_eq!(*placement.cluster, fixture.cluster("eu-1").await.cluster);
    assert_eq!(placement.database_oid, Some(4_000_000_002));
    assert_eq!(placement.logins.owner.keys.to_bytes(), role_keys().to_bytes());
    assert_eq!(placement.database.as_str(), placement.logins.owner.role.as_str());
    let kinds: Vec<_> = route.credentials.iter().map(|credential| &credential.kind).collect();
    assert!(matches!(kinds[0], CredentialKind::Password { user, verifier }
        if user.as_str() == "app" && verifier == VERIFIER));
    assert!(matches!(kinds[1], CredentialKind::ApiKey { hash, .. } if *hash == [0xa5; 32]));
    assert_eq!(fixture.catalog.tenant_of_api_key(&[0xa5; 32]).await.unwrap(), Some(id));
    assert_eq!(fixture.catalog.route_by_id(id).await.unwrap().unwrap().slug, slug("acme"));
}

/// Its statement is planned once, and a later version's migration may change what it gives.
#[tokio::test]
async fn a_route_is_read_although_its_columns_have_changed_their_types() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let read = async || fixture.catalog.route_by_id(id).await.unwrap().unwrap().isolation;
    let isolation = read().await;
    for column_type in ["varchar", "text"] {
        let change = format!("alter table catalog.tenants alter column isolation type {column_type}");
        fixture.raw().await.batch_execute(&change).await.unwrap();
        assert_eq!(read().await, isolation, "{column_type}");
    }
}

#[tokio::test]
async fn a_role_without_keys_of_its_own_is_found_and_leads_nowhere_until_it_has_some() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    fixture.raw().await.batch_execute("update catalog.placements set keys = null").await.unwrap();
    assert!(fixture.catalog.route_by_id(id).await.unwrap().unwrap().placement.is_none());
    assert!(fixture.catalog.placement_get(id).await.unwrap().unwrap().keys.is_none());
    assert_eq!(fixture.catalog.placements_without_keys().await.unwrap(), [id]);
    let mut tx = fixture.tx().await;
    tx.placement_keys_set(id, &role_keys()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(fixture.catalog.route_by_id(id).await.unwrap().unwrap().placement.is_some());
    assert!(fixture.catalog.placements_without_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_tenant_is_none_and_no_error() {
    let fixture = Fixture::new().await;
    assert!(fixture.catalog.route_by_slug(&slug("nobody")).await.unwrap().is_none());
    assert_eq!(fixture.catalog.tenant_of_api_key(&[1; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn own_limits_stand_in_for_the_plans_one_by_one() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let own = Entitlement { queue_limit: Some(3), floor: Some(2), ..Entitlement::default() };
    let mut tx = fixture.tx().await;
    tx.entitlement_set(id, &own).await.unwrap();
    tx.commit().await.unwrap();
    let limits = fixture.catalog.route_by_id(id).await.unwrap().unwrap().limits;
    assert_eq!((limits.queue_limit, limits.pool_size, limits.client_limit), (3, 5, 100));
    assert_eq!((limits.floor, limits.weight), (2, 100));
    assert_eq!(fixture.catalog.entitlement_get(id).await.unwrap(), own);
}

#[tokio::test]
async fn only_live_credentials_open_anything() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let past = Timestamp::now() - SignedDuration::from_secs(60);
    let future = Timestamp::now() + SignedDuration::from_secs(3600);
    let (mut expired, mut lasting, revoked) =
        (api_key(id, [1; 32]), api_key(id, [2; 32]), api_key(id, [3; 32]));
    expired.expires_at = Some(past);
    lasting.expires_at = Some(future);
    let mut tx = fixture.tx().await;
    for key in [&expired, &lasting, &revoked] {
        tx.credential_create(key).await.unwrap();
    }
    tx.credential_revoke(id, revoked.id).await.unwrap();
    tx.credential_revoke(id, revoked.id).await.unwrap();
    tx.commit().await.unwrap();
    let route = fixture.catalog.route_by_id(id).await.unwrap().unwrap();
    assert_eq!(route.credentials.iter().map(|key| key.id).collect::<Vec<_>>(), [lasting.id]);
    assert_eq!(route.credentials[0].expires_at.map(Timestamp::as_microsecond), Some(future.as_microsecond()));
    let found = [1, 2, 3].map(|byte| [byte; 32]);
    let mut opened = Vec::new();
    for hash in &found {
        opened.push(fixture.catalog.tenant_of_api_key(hash).await.unwrap().is_some());
    }
    assert_eq!(opened, [false, true, false]);
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_live_credentials() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let mut tx = fixture.tx().await;
    for _ in 0..CREDENTIALS_LIVE_MAX {
        tx.credential_create(&password(id, "app")).await.unwrap();
    }
    let one_more = tx.credential_create(&password(id, "app")).await.unwrap_err();
    assert!(matches!(one_more, CatalogError::LimitReached { max: CREDENTIALS_LIVE_MAX, .. }));
}

#[tokio::test]
async fn a_renamed_tenant_is_reached_by_both_names_until_the_old_one_expires() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let renamed = TenantPatch { slug: Some(slug("umbrella")), ..TenantPatch::default() };
    let mut tx = fixture.tx().await;
    tx.tenant_update(id, None, &renamed).await.unwrap();
    tx.commit().await.unwrap();
    for name in ["acme", "umbrella"] {
        let route = fixture.catalog.route_by_slug(&slug(name)).await.unwrap().unwrap();
        assert_eq!((route.tenant_id, route.slug, route.aliases), (id, slug("umbrella"), vec![slug("acme")]));
    }
    let before = fixture.catalog.current_revision().await.unwrap();
    fixture.raw().await.batch_execute("update catalog.slug_aliases set expires_at = now()").await.unwrap();
    assert!(fixture.catalog.route_by_slug(&slug("acme")).await.unwrap().is_none());
    assert!(fixture.catalog.route_by_id(id).await.unwrap().unwrap().aliases.is_empty());
    assert_eq!(fixture.catalog.prune(&Retention::default()).await.unwrap().slug_aliases, 1);
    assert!(fixture.catalog.current_revision().await.unwrap() > before, "gateways hear of the expiry");
}

#[tokio::test]
async fn a_secret_sealed_under_another_key_is_an_error_and_not_a_wrong_password() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let other_key = catalog_schema::MasterKey::generate().unwrap();
    let other = catalog_schema::Catalog::connect(&fixture.dsn, other_key, 1).await.unwrap();
    assert!(matches!(other.route_by_id(id).await, Err(CatalogError::Seal(_))));
}

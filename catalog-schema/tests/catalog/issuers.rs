//! Identity providers, and what gateways hear of them.

use crate::fixture::{Fixture, slug};
use catalog_schema::{
    CatalogError, Changed, Constraint, ExternalId, Page, TENANT_ISSUERS_BYTES_MAX, TENANT_ISSUERS_MAX,
};
use std::collections::BTreeMap;
use tenancy::{ClaimShape, Issuer, IssuerId, Role, SigningAlgorithm, TenantForm, TenantId};

fn issuer(iss: &str, tenant: Option<TenantId>) -> Issuer {
    Issuer {
        id: IssuerId::generate(),
        tenant,
        iss: iss.to_owned(),
        audiences: vec!["one".to_owned(), "two".to_owned()],
        algorithms: SigningAlgorithm::ALL.to_vec(),
        jwks_url: "https://id.example.com/jwks".to_owned(),
        jwks_ca: Some("a certificate".to_owned()),
        leeway_s: 7,
        shape: ClaimShape::Custom,
        tenant_claim: "/org/id".parse().ok(),
        role_claim: "https://example.com/role".parse().ok(),
        user_claim: "email".parse().ok(),
        tenant_form: TenantForm::External,
        roles: BTreeMap::from([("boss".to_owned(), Role::Owner)]),
        default_role: Some(Role::Viewer),
        version: 1,
    }
}

fn external(issuer: &Issuer, name: &str) -> ExternalId {
    ExternalId { issuer: issuer.id, external: name.to_owned() }
}

async fn create(fixture: &Fixture, issuer: &Issuer) -> Result<(), CatalogError> {
    let mut tx = fixture.tx().await;
    tx.issuer_create(issuer).await?;
    tx.commit().await
}

async fn tie(fixture: &Fixture, tenant: TenantId, id: &ExternalId) -> Result<(), CatalogError> {
    let mut tx = fixture.tx().await;
    tx.external_id_set(tenant, id).await?;
    tx.commit().await
}

#[tokio::test]
async fn the_installations_are_in_the_document_and_a_tenants_in_its_route() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let (everybodys, own) =
        (issuer("https://all.example.com/", None), issuer("https://own.example.com/", Some(tenant)));
    let before = fixture.catalog.current_revision().await.unwrap();
    create(&fixture, &everybodys).await.unwrap();
    let document = fixture.catalog.identity().await.unwrap();
    assert_eq!(
        document.issuers.iter().map(|issuer| (**issuer).clone()).collect::<Vec<_>>(),
        std::slice::from_ref(&everybodys)
    );
    let changes = fixture.catalog.route_changes_since(before).await.unwrap();
    assert_eq!((changes.identity, changes.revision), (document.version, document.version));
    assert_eq!(changes.changed, Changed::Tenants(Vec::new()), "no route has changed");

    create(&fixture, &own).await.unwrap();
    tie(&fixture, tenant, &external(&everybodys, "org_1")).await.unwrap();
    let changes = fixture.catalog.route_changes_since(changes.revision).await.unwrap();
    assert_eq!(changes.identity, document.version, "the document has not changed");
    assert_eq!(changes.changed, Changed::Tenants(vec![tenant]));
    let route = fixture.catalog.route_by_slug(&slug("acme")).await.unwrap().unwrap();
    assert_eq!(*route.issuers[0], own);
    assert_eq!(route.external_ids, [external(&everybodys, "org_1")]);
    assert_eq!(fixture.catalog.identity().await.unwrap().issuers.len(), 1);
    assert_eq!(fixture.catalog.tenant_of_external(everybodys.id, "org_1").await.unwrap(), Some(tenant));
    assert_eq!(fixture.catalog.tenant_of_external(own.id, "org_1").await.unwrap(), None);
}

#[tokio::test]
async fn a_change_is_told_with_its_version_and_a_removal_takes_the_names_along() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let known = issuer("https://all.example.com/", None);
    create(&fixture, &known).await.unwrap();
    tie(&fixture, tenant, &external(&known, "org_1")).await.unwrap();
    let mut tx = fixture.tx().await;
    let mut changed = tx.issuer_lock(None, known.id, Some(1)).await.unwrap();
    changed.audiences = vec!["three".to_owned()];
    assert_eq!(tx.issuer_update(&changed).await.unwrap().issuer.version, 2);
    tx.commit().await.unwrap();
    assert_eq!(fixture.catalog.identity().await.unwrap().issuers[0].audiences, ["three"]);
    let mut tx = fixture.tx().await;
    assert_eq!(tx.issuer_lock(None, known.id, Some(1)).await, Err(CatalogError::StaleVersion { current: 2 }));
    tx.rollback().await.unwrap();
    let before = fixture.catalog.current_revision().await.unwrap();
    let mut tx = fixture.tx().await;
    tx.issuer_delete(None, known.id).await.unwrap();
    tx.commit().await.unwrap();
    let changes = fixture.catalog.route_changes_since(before).await.unwrap();
    assert_eq!((changes.identity, changes.changed), (changes.revision, Changed::Tenants(vec![tenant])));
    assert!(fixture.catalog.external_ids(tenant).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_reaches_anothers_issuer() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.active_tenant("one").await, fixture.tenant("two").await);
    let own = issuer("https://own.example.com/", Some(one));
    create(&fixture, &own).await.unwrap();
    assert_eq!(
        create(&fixture, &issuer(&own.iss, Some(one))).await.unwrap_err(),
        CatalogError::Conflict { constraint: Constraint::IssuerTaken }
    );
    create(&fixture, &issuer(&own.iss, Some(two))).await.unwrap();
    create(&fixture, &issuer(&own.iss, None)).await.unwrap();
    for whose in [None, Some(two)] {
        assert_eq!(fixture.catalog.issuer_get(whose, own.id).await.unwrap(), None);
        let mut tx = fixture.tx().await;
        assert!(matches!(tx.issuer_delete(whose, own.id).await, Err(CatalogError::NotFound { .. })));
        tx.rollback().await.unwrap();
    }
    assert!(matches!(tie(&fixture, two, &external(&own, "x")).await, Err(CatalogError::NotFound { .. })));
    let raw = fixture.raw().await;
    let by_hand = format!("insert into catalog.external_ids values ('{}', 'x', '{two}')", own.id);
    let error = raw.batch_execute(&by_hand).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("external_ids_own_issuer"));
    let by_hand = format!("update catalog.issuers set tenant_id = null, iss = 'x' where id = '{}'", own.id);
    let error = raw.batch_execute(&by_hand).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("issuers_stay"));
    assert_eq!(fixture.catalog.issuers(Some(one), &Page::first(10)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_route_does_not_grow_without_end() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    for number in 0..TENANT_ISSUERS_MAX {
        create(&fixture, &issuer(&format!("https://{number}.example.com/"), Some(tenant))).await.unwrap();
    }
    let one_more = create(&fixture, &issuer("https://more.example.com/", Some(tenant))).await;
    assert!(matches!(one_more, Err(CatalogError::LimitReached { max: TENANT_ISSUERS_MAX, .. })));
    let mut tx = fixture.tx().await;
    assert_eq!(tx.tenant_issuers_delete(tenant).await.unwrap(), u64::from(TENANT_ISSUERS_MAX));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn nor_by_what_is_on_record_of_its_issuers() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let half = "x".repeat(usize::try_from(TENANT_ISSUERS_BYTES_MAX / 2).unwrap());
    let of = |iss: &str, whose, ca: &str| Issuer { jwks_ca: Some(ca.to_owned()), ..issuer(iss, whose) };
    let first = of("https://1.example.com/", Some(tenant), &half);
    create(&fixture, &first).await.unwrap();
    let too_large =
        |outcome| matches!(outcome, Err(CatalogError::LimitReached { max: TENANT_ISSUERS_BYTES_MAX, .. }));
    assert!(too_large(create(&fixture, &of("https://2.example.com/", Some(tenant), &half)).await));
    let mut tx = fixture.tx().await;
    let grown = Issuer { jwks_ca: Some(half.repeat(2)), ..first };
    assert!(too_large(tx.issuer_update(&grown).await.map(drop)));
    drop(tx);
    create(&fixture, &of("https://2.example.com/", Some(tenant), "small")).await.unwrap();
    let other = fixture.active_tenant("other").await;
    create(&fixture, &of("https://2.example.com/", Some(other), &half)).await.unwrap();
    create(&fixture, &of("https://2.example.com/", None, &half.repeat(2))).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_never_began_to_live_leaves_neither_issuers_nor_names() {
    let fixture = Fixture::new().await;
    let everybodys = issuer("https://all.example.com/", None);
    create(&fixture, &everybodys).await.unwrap();
    let tenant = fixture.tenant("acme").await;
    create(&fixture, &issuer("https://own.example.com/", Some(tenant))).await.unwrap();
    let named = external(&everybodys, "org_1");
    tie(&fixture, tenant, &named).await.unwrap();
    let mut tx = fixture.tx().await;
    tx.tenant_bury(tenant, &serde_json::json!({})).await.unwrap();
    tx.commit().await.unwrap();
    assert!(fixture.catalog.issuers(Some(tenant), &Page::first(10)).await.unwrap().is_empty());
    let next = fixture.tenant("acme").await;
    tie(&fixture, next, &named).await.expect("the provider's name for it is free again");
}

//! Tenants from creation to tombstone.

use crate::fixture::{Fixture, name, password, slug, tenant};
use catalog_schema::{
    ALIASES_MAX, CatalogError, Constraint, NameKind, Page, TenantFilter, TenantPatch, TenantRecord,
};
use serde_json::json;
use std::time::Duration;
use tenancy::{TenantId, TenantState};

fn conflict(constraint: Constraint) -> CatalogError {
    CatalogError::Conflict { constraint }
}

fn refused(constraint: Constraint) -> CatalogError {
    CatalogError::Refused { constraint }
}

async fn update(fixture: &Fixture, id: TenantId, patch: TenantPatch) -> Result<TenantRecord, CatalogError> {
    let mut tx = fixture.tx().await;
    let changed = tx.tenant_update(id, None, &patch).await?;
    tx.commit().await?;
    Ok(changed)
}

#[tokio::test]
async fn each_rule_of_creation_has_its_own_refusal() {
    let fixture = Fixture::new().await;
    fixture.tenant("taken").await;
    let good = tenant("acme");
    for (new, expected) in [
        (tenant("taken"), conflict(Constraint::SlugTaken)),
        (
            catalog_schema::NewTenant {
                region: name("mars"),
                allowed_regions: vec![name("mars")],
                ..good.clone()
            },
            refused(Constraint::AllowedRegionUnknown),
        ),
        (
            catalog_schema::NewTenant { allowed_regions: vec![name("us")], ..good.clone() },
            refused(Constraint::RegionNotAllowed),
        ),
        (
            catalog_schema::NewTenant { plan: "gold".parse().unwrap(), ..good.clone() },
            refused(Constraint::PlanUnknown),
        ),
    ] {
        let mut tx = fixture.tx().await;
        assert_eq!(tx.tenant_create(&new).await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn a_former_name_is_kept_for_its_tenant_while_it_leads_there() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let rename = |to: &str| TenantPatch { slug: Some(slug(to)), ..TenantPatch::default() };
    update(&fixture, id, rename("umbrella")).await.unwrap();
    let mut tx = fixture.tx().await;
    assert_eq!(tx.tenant_create(&tenant("acme")).await.unwrap_err(), conflict(Constraint::SlugAliased));
    drop(tx);
    // Its own former name it may have back.
    let back = update(&fixture, id, rename("acme")).await.unwrap();
    assert_eq!(back.slug, slug("acme"));
    let route = fixture.catalog.route_by_slug(&slug("umbrella")).await.unwrap().unwrap();
    assert_eq!(route.aliases, [slug("umbrella")]);
    fixture.raw().await.batch_execute("update catalog.slug_aliases set expires_at = now()").await.unwrap();
    fixture.tenant("umbrella").await;
}

#[tokio::test]
async fn a_tenant_keeps_so_many_former_names_and_no_more() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("name-0").await;
    let rename = |to: &str| TenantPatch { slug: Some(slug(to)), ..TenantPatch::default() };
    for number in 1..=ALIASES_MAX {
        update(&fixture, id, rename(&format!("name-{number}"))).await.unwrap();
    }
    let refused = update(&fixture, id, rename("one-more")).await.unwrap_err();
    assert!(matches!(refused, CatalogError::LimitReached { max: ALIASES_MAX, .. }), "{refused:?}");
    let leaving = TenantPatch { keep_slug: Some(Duration::ZERO), ..rename("one-more") };
    update(&fixture, id, leaving).await.expect("a name that is not kept costs nothing");
    update(&fixture, id, rename("name-1")).await.expect("one that it takes back is a former one no more");
    let route = fixture.catalog.route_by_id(id).await.unwrap().unwrap();
    assert_eq!(u32::try_from(route.aliases.len()).unwrap(), ALIASES_MAX);
}

#[tokio::test]
async fn a_change_of_what_somebody_else_changed_is_refused() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let read = fixture.read(id).await;
    let patch = TenantPatch { display_name: Some("one".to_owned()), ..TenantPatch::default() };
    let changed = update(&fixture, id, patch.clone()).await.unwrap();
    assert!(changed.version > read.version);
    let mut tx = fixture.tx().await;
    let stale = tx.tenant_update(id, Some(read.version), &patch).await.unwrap_err();
    assert_eq!(stale, CatalogError::StaleVersion { current: changed.version });
    assert!(tx.tenant_update(id, Some(changed.version), &patch).await.is_ok());
}

#[tokio::test]
async fn states_follow_their_table_and_generations_rise() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let mut generation = fixture.read(id).await.generation;
    for to in [TenantState::Suspended, TenantState::Active, TenantState::Purging] {
        let mut tx = fixture.tx().await;
        let changed = tx.tenant_set_state(id, to).await.unwrap();
        assert_eq!(changed.state, to);
        assert!(changed.generation > generation);
        generation = changed.generation;
        // A step that runs twice asks for it twice.
        assert_eq!(tx.tenant_set_state(id, to).await.unwrap().generation, generation);
        tx.commit().await.unwrap();
    }
    for to in [TenantState::Active, TenantState::Provisioning, TenantState::Deleted] {
        let mut tx = fixture.tx().await;
        let refused = tx.tenant_set_state(id, to).await.unwrap_err();
        assert_eq!(refused, CatalogError::IllegalTransition { from: TenantState::Purging, to });
    }
    let mut tx = fixture.tx().await;
    let unknown = tx.tenant_set_state(TenantId::generate(), TenantState::Active).await.unwrap_err();
    assert_eq!(unknown, CatalogError::NotFound { what: "tenant" });
}

#[tokio::test]
async fn a_region_is_not_forbidden_under_data_that_stands_in_it() {
    let fixture = Fixture::new().await;
    let mut new = tenant("acme");
    new.region = name("us");
    new.allowed_regions = vec![name("us"), name("eu")];
    let mut tx = fixture.tx().await;
    tx.tenant_create(&new).await.unwrap();
    let place = crate::fixture::placement(new.id, fixture.cluster("eu-1").await.cluster.id);
    tx.placement_create(&place).await.unwrap();
    tx.commit().await.unwrap();
    let only_us = TenantPatch { allowed_regions: Some(vec![name("us")]), ..TenantPatch::default() };
    assert_eq!(update(&fixture, new.id, only_us).await.unwrap_err(), refused(Constraint::PlacedElsewhere));
}

#[tokio::test]
async fn a_buried_tenant_leaves_a_tombstone_and_a_free_name() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let mut tx = fixture.tx().await;
    tx.credential_create(&password(id, "app")).await.unwrap();
    tx.tenant_set_state(id, TenantState::Purging).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = fixture.tx().await;
    let too_early = tx.tenant_bury(id, &json!({})).await.unwrap_err();
    assert_eq!(too_early, refused(Constraint::TenantStillPlaced));
    drop(tx);

    let mut tx = fixture.tx().await;
    for line in fixture.catalog.physical_names(id).await.unwrap() {
        tx.physical_name_dropped(id, line.kind, &line.name).await.unwrap();
    }
    tx.placement_delete(id).await.unwrap();
    let evidence = json!({ "database": "dropped" });
    assert_eq!(tx.tenant_bury(id, &evidence).await.unwrap().state, TenantState::Deleted);
    assert_eq!(tx.tenant_bury(id, &json!({})).await.unwrap().display_name, "");
    tx.commit().await.unwrap();

    let tombstone = fixture.catalog.tombstone_get(id).await.unwrap().unwrap();
    assert_eq!((tombstone.slug, tombstone.evidence), (slug("acme"), evidence));
    assert!(fixture.catalog.route_by_id(id).await.unwrap().is_none());
    assert!(fixture.catalog.tenant_by_slug(&slug("acme")).await.unwrap().is_none());
    assert!(fixture.catalog.credentials(id, &Page::first(10)).await.unwrap().is_empty());
    assert!(fixture.read(id).await.deleted_at.is_some());
    let kinds: Vec<_> =
        fixture.catalog.physical_names(id).await.unwrap().iter().map(|line| line.kind).collect();
    assert_eq!(kinds, [NameKind::Database, NameKind::Role], "the ledger forgets nothing");
    assert_ne!(fixture.tenant("acme").await, id);
    let patch = TenantPatch { display_name: Some("back".to_owned()), ..TenantPatch::default() };
    assert_eq!(update(&fixture, id, patch).await.unwrap_err(), CatalogError::NotFound { what: "tenant" });
    let raised = "update catalog.tenants set state = 'active', deleted_at = null where state = 'deleted'";
    assert!(fixture.raw().await.batch_execute(raised).await.is_err(), "not even by hand");
}

#[tokio::test]
async fn pages_follow_each_other_although_the_list_changes() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(fixture.tenant(&format!("tenant-{number}")).await);
    }
    let everyone = TenantFilter::default();
    let first = fixture.catalog.tenants(&everyone, &Page::first(3)).await.unwrap();
    assert_eq!(first.iter().map(|tenant| tenant.id).collect::<Vec<_>>(), ids[..3]);
    let mut tx = fixture.tx().await;
    for gone in [ids[1], ids[4]] {
        tx.tenant_bury(gone, &json!({})).await.unwrap();
    }
    tx.commit().await.unwrap();
    let rest = fixture.catalog.tenants(&everyone, &Page::after(ids[2], 100)).await.unwrap();
    assert_eq!(rest.iter().map(|tenant| tenant.id).collect::<Vec<_>>(), [ids[3], ids[5], ids[6]]);
    let count = async |filter: TenantFilter| {
        fixture.catalog.tenants(&filter, &Page::first(u32::MAX)).await.unwrap().len()
    };
    assert_eq!(count(TenantFilter { with_deleted: true, ..everyone.clone() }).await, 7);
    assert_eq!(count(TenantFilter { state: Some(TenantState::Deleted), ..everyone.clone() }).await, 2);
    assert_eq!(count(TenantFilter { region: Some(name("us")), ..everyone.clone() }).await, 0);
    fixture.active_tenant("placed").await;
    assert_eq!(count(TenantFilter { cluster: Some("eu-1".parse().unwrap()), ..everyone }).await, 1);
}

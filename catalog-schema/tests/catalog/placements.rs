//! Places and the ledger of physical names.

use crate::fixture::{Fixture, cluster, context, name, placement, tenant};
use catalog_schema::{CatalogError, ClusterPatch, Constraint, NameKind, NewPlacement, Page};
use tenancy::{ClusterId, ClusterState, TenantId};
use tokio::task::JoinSet;

async fn place(fixture: &Fixture, new: &NewPlacement) -> Result<(), CatalogError> {
    let mut tx = fixture.tx().await;
    tx.placement_create(new).await?;
    tx.commit().await
}

fn rule(error: CatalogError) -> Constraint {
    match error {
        CatalogError::Refused { constraint } | CatalogError::Conflict { constraint } => constraint,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_cluster_where_the_tenant_may_not_be_is_refused() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let foreign = placement(id, fixture.cluster("us-1").await.cluster.id);
    assert_eq!(rule(place(&fixture, &foreign).await.unwrap_err()), Constraint::PlacementNotAllowed);
    let nowhere = placement(id, ClusterId::generate());
    assert_eq!(rule(place(&fixture, &nowhere).await.unwrap_err()), Constraint::ClusterUnknown);
}

#[tokio::test]
async fn a_cluster_that_drains_takes_nobody_new() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let eu = fixture.cluster("eu-1").await;
    let mut tx = fixture.tx().await;
    let draining = ClusterPatch { state: Some(ClusterState::Draining), ..ClusterPatch::default() };
    let changed = tx.cluster_update(eu.cluster.id, Some(eu.cluster.version), &draining).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(changed.cluster.version, eu.cluster.version + 1);
    let refused = place(&fixture, &placement(id, eu.cluster.id)).await.unwrap_err();
    assert_eq!(rule(refused), Constraint::ClusterNotActive);
    let known = fixture.catalog.clusters_in(&[name("eu")]).await.unwrap();
    assert!(
        known.iter().any(|found| found.cluster.state == ClusterState::Draining),
        "and the placement is told why"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_never_holds_more_than_it_may_although_all_come_at_once() {
    let fixture = Fixture::new().await;
    let mut small = cluster("small", "eu");
    small.capacity = 3;
    let mut tx = fixture.tx().await;
    tx.cluster_create(&small).await.unwrap();
    tx.commit().await.unwrap();
    let mut placing = JoinSet::new();
    for number in 0..8 {
        let id = fixture.tenant(&format!("tenant-{number}")).await;
        let (catalog, new) = (fixture.catalog.clone(), placement(id, small.id));
        placing.spawn(async move {
            let mut tx = catalog.begin(&context()).await.unwrap();
            tx.placement_create(&new).await?;
            tx.commit().await
        });
    }
    let (placed, refused): (Vec<_>, Vec<_>) = placing.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(placed.len(), 3);
    for error in refused {
        assert_eq!(rule(error.unwrap_err()), Constraint::ClusterFull);
    }
    assert_eq!(fixture.catalog.cluster_get(small.id).await.unwrap().unwrap().placed, 3);
}

async fn placed(fixture: &Fixture) -> (TenantId, NewPlacement) {
    let id = fixture.tenant("acme").await;
    let new = placement(id, fixture.cluster("eu-1").await.cluster.id);
    place(fixture, &new).await.unwrap();
    (id, new)
}

#[tokio::test]
async fn a_name_is_never_given_out_twice() {
    let fixture = Fixture::new().await;
    let (id, first) = placed(&fixture).await;
    let mut tx = fixture.tx().await;
    for kind in [NameKind::Database, NameKind::Role] {
        tx.physical_name_dropped(id, kind, first.database.as_str()).await.unwrap();
    }
    tx.placement_delete(id).await.unwrap();
    tx.commit().await.unwrap();
    let mut again = placement(fixture.tenant("other").await, first.cluster);
    again.database = first.database;
    assert_eq!(rule(place(&fixture, &again).await.unwrap_err()), Constraint::PhysicalNameUsed);
}

#[tokio::test]
async fn an_oid_is_recorded_once() {
    let fixture = Fixture::new().await;
    let (id, _) = placed(&fixture).await;
    let mut tx = fixture.tx().await;
    tx.database_created(id, u32::MAX).await.unwrap();
    tx.role_created(id, 17).await.unwrap();
    tx.database_created(id, u32::MAX).await.unwrap();
    tx.commit().await.unwrap();
    let mut oids: Vec<_> =
        fixture.catalog.physical_names(id).await.unwrap().iter().map(|line| line.oid).collect();
    oids.sort_unstable();
    assert_eq!(oids, [Some(17), Some(u32::MAX)]);
    assert_eq!(fixture.catalog.placement_get(id).await.unwrap().unwrap().database_oid, Some(u32::MAX));
    let mut tx = fixture.tx().await;
    tx.role_created(id, 17).await.unwrap();
    tx.commit().await.unwrap();
    let sql = "select count(*) from catalog.audit where action = 'physical-name.created'";
    let told: i64 = fixture.raw().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(told, 2, "what changes nothing is not told of");
    let mut tx = fixture.tx().await;
    assert_eq!(rule(tx.database_created(id, 5).await.unwrap_err()), Constraint::LedgerAppendOnly);
    let mut tx = fixture.tx().await;
    let unplaced = tx.database_created(TenantId::generate(), 5).await.unwrap_err();
    assert_eq!(unplaced, CatalogError::NotFound { what: "placement" });
}

#[tokio::test]
async fn a_place_is_not_forgotten_while_something_may_be_there() {
    let fixture = Fixture::new().await;
    let (id, new) = placed(&fixture).await;
    let mut tx = fixture.tx().await;
    tx.physical_name_dropped(id, NameKind::Database, new.database.as_str()).await.unwrap();
    assert_eq!(rule(tx.placement_delete(id).await.unwrap_err()), Constraint::NotProvenDropped);
    drop(tx);
    let mut tx = fixture.tx().await;
    for kind in [NameKind::Database, NameKind::Role] {
        tx.physical_name_dropped(id, kind, new.database.as_str()).await.unwrap();
        tx.physical_name_dropped(id, kind, new.database.as_str()).await.unwrap();
    }
    tx.placement_delete(id).await.unwrap();
    tx.placement_delete(id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(fixture.catalog.placement_get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn the_ledger_cannot_be_edited() {
    let fixture = Fixture::new().await;
    placed(&fixture).await;
    let raw = fixture.raw().await;
    for edit in [
        "delete from catalog.physical_names",
        "truncate catalog.physical_names",
        "update catalog.physical_names set name = name || 'x'",
        "update catalog.physical_names set oid = 1, tenant_id = gen_random_uuid()",
    ] {
        assert!(raw.batch_execute(edit).await.is_err(), "{edit}");
    }
}

#[tokio::test]
async fn a_server_is_registered_once_and_clusters_are_listed_by_age() {
    let fixture = Fixture::new().await;
    let eu = cluster("eu-1", "eu");
    let register = async |new| {
        let mut tx = fixture.tx().await;
        tx.cluster_create(&new).await.map(drop)
    };
    assert_eq!(rule(register(eu.clone()).await.unwrap_err()), Constraint::ClusterNameTaken);
    let renamed = catalog_schema::NewCluster { name: "eu-2".parse().unwrap(), ..eu };
    assert_eq!(rule(register(renamed).await.unwrap_err()), Constraint::ClusterRegistered);
    assert_eq!(
        rule(register(cluster("mars-1", "mars")).await.unwrap_err()),
        Constraint::ClusterRegionUnknown
    );
    let all = fixture.catalog.clusters(&Page::first(10)).await.unwrap();
    assert_eq!(all.iter().map(|one| one.cluster.name.as_str()).collect::<Vec<_>>(), ["eu-1", "us-1"]);
    let after = fixture.catalog.clusters(&Page::after(all[0].cluster.id, 10)).await.unwrap();
    assert_eq!(after, all[1..]);
    let mut tx = fixture.tx().await;
    assert_eq!(rule(tx.region_create(&name("eu"), "EU").await.unwrap_err()), Constraint::RegionTaken);
    let mut tx = fixture.tx().await;
    tx.tenant_create(&tenant("acme")).await.unwrap();
}

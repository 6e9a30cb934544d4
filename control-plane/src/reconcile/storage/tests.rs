use super::Measuring;
use crate::context::EngineState;
use crate::operations::{OperationKind, standard};
use crate::testing::{World, eventually};
use catalog_schema::{AuditFilter, CatalogError, Context, Entitlement, Measurement, Page, RouteRecord};
use config::StorageConfig;
use std::time::{Duration, Instant};
use tenancy::{StorageStanding, TenantId, TenantState};
use tokio::net::TcpListener;

/// Every look finds everything due.
const ALWAYS: StorageConfig = StorageConfig { interval_ms: 0, rate_max: 1_000 };

/// A round, and the standings that have come of it.
async fn round(engine: &EngineState, settings: &StorageConfig) -> Result<(), CatalogError> {
    let mut measuring = Measuring::new(engine.clone(), settings.clone());
    measuring.round().await?;
    measuring.clusters.finish().await;
    engine.metrics.storage_standings(&engine.catalog.storage_standings().await?);
    Ok(())
}

async fn entitle(world: &World, tenant: TenantId, soft: u64, hard: u64) {
    let context = Context { actor: "test".into(), request_id: "test".into() };
    let own = Entitlement {
        storage_soft_bytes: Some(soft),
        storage_hard_bytes: Some(hard),
        ..Entitlement::default()
    };
    let mut tx = world.catalog.begin(&context).await.unwrap();
    tx.entitlement_set(tenant, &own).await.unwrap();
    tx.commit().await.unwrap();
}

async fn route(world: &World, tenant: TenantId) -> RouteRecord {
    world.catalog.route_by_id(tenant).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_measured_and_stands_as_its_quotas_say() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    assert_eq!(world.catalog.storage_use(tenant).await.unwrap().bytes, None);
    round(&world.engine, &ALWAYS).await.unwrap();
    let bytes = world.catalog.storage_use(tenant).await.unwrap().bytes.unwrap();
    let size: i64 = {
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let sql = "select pg_database_size($1::oid)";
        world.admin.query_one(sql, &[&placement.database_oid.unwrap()]).await.unwrap().get(0)
    };
    assert!(bytes > 1_000_000 && bytes.abs_diff(size.unsigned_abs()) < bytes / 2, "{bytes} of {size}");

    const GIB: u64 = 1 << 30;
    for (soft, hard, standing) in [
        (0, 0, StorageStanding::Within),
        (GIB, 2 * GIB, StorageStanding::Within),
        (1_000, GIB, StorageStanding::Near),
        (1_000, bytes - 1_000_000, StorageStanding::Full),
    ] {
        let before = world.catalog.current_revision().await.unwrap();
        entitle(&world, tenant, soft, hard).await;
        assert_eq!(route(&world, tenant).await.storage, standing, "at once, for what was measured last");
        let limits = route(&world, tenant).await.limits;
        assert_eq!(limits.storage_standing(bytes, None), standing, "the same rule here and there");
        assert!(world.catalog.current_revision().await.unwrap() > before, "gateways are told");
        round(&world.engine, &ALWAYS).await.unwrap();
    }
    let metrics = world.engine.metrics.text().unwrap();
    assert!(metrics.contains(r#"storage_tenants{standing="full"} 1"#), "{metrics}");
    let audit = world.catalog.audit(&AuditFilter::default(), &Page::first(100)).await.unwrap();
    let changes = audit.iter().filter(|row| row.action == "storage.standing").count();
    assert_eq!(changes, 2, "to near, and to full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_that_changes_how_a_tenant_stands_is_told_to_gateways_and_no_other_is() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    round(&world.engine, &ALWAYS).await.unwrap();
    let bytes = world.catalog.storage_use(tenant).await.unwrap().bytes.unwrap();
    entitle(&world, tenant, 0, bytes + 3_000_000).await;
    // They are told once more by the first measurement under other quotas.
    round(&world.engine, &ALWAYS).await.unwrap();
    let before = world.catalog.current_revision().await.unwrap();
    round(&world.engine, &ALWAYS).await.unwrap();
    assert_eq!(world.catalog.current_revision().await.unwrap(), before);
    let grow = "create table big as select repeat('x', 1000) as filler from generate_series(1, 5000)";
    world.log_in(tenant).await.query(grow).await.unwrap();
    round(&world.engine, &ALWAYS).await.unwrap();
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Full);
    assert!(world.catalog.current_revision().await.unwrap() > before);
    world.log_in(tenant).await.query("drop table big").await.unwrap();
    round(&world.engine, &ALWAYS).await.unwrap();
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Within);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_measured_more_often_than_is_due_and_no_more_at_once_than_may_be() {
    let world = World::new().await;
    for _ in 0..3 {
        standard::tenant_in(&world, TenantState::Active).await;
    }
    let hourly = StorageConfig { interval_ms: 3_600_000, rate_max: 2 };
    let measured = async || {
        round(&world.engine, &hourly).await.unwrap();
        let counted = world.engine.metrics.text().unwrap();
        let line =
            counted.lines().find(|line| line.contains(r#"storage_measurements_total{outcome="done"}"#));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!([measured().await, measured().await, measured().await], [2, 3, 3]);
}

/// It has a database, is due like any other, and not found again before its next turn.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_served_is_not_measured() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    standard::request_on(&world, tenant, OperationKind::Purge, TenantState::Purging).await;
    assert_eq!(world.catalog.storage_due_clusters().await.unwrap().len(), 1);
    let hourly = StorageConfig { interval_ms: 3_600_000, rate_max: 10 };
    round(&world.engine, &hourly).await.unwrap();
    assert_eq!(world.catalog.storage_due_clusters().await.unwrap(), []);
    assert_eq!(world.catalog.storage_use(tenant).await.unwrap().bytes, None);
}

const MIB: u64 = 1 << 20;

/// As if its database had been measured at so much.
async fn measured(world: &World, tenant: TenantId, bytes: u64) {
    let context = Context { actor: "test".into(), request_id: "test".into() };
    let mut tx = world.catalog.begin(&context).await.unwrap();
    tx.storage_measured(&[Measurement { tenant, bytes }]).await.unwrap();
    tx.commit().await.unwrap();
}

/// What gateways have made of a measurement under other quotas is nothing that the catalog has recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_under_other_quotas_is_told_whatever_the_standing_was() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    round(&world.engine, &ALWAYS).await.unwrap();
    for (hard_before, at, hard, for_gateways, then) in [
        // Lowered, and room made before the next look: both measurements are `within`.
        (0, 50, 40, StorageStanding::Full, 30),
        // Raised, and filled before it: both are `full`, and both are `sealed`.
        (40, 50, 60, StorageStanding::Within, 65),
        (40, 60, 50, StorageStanding::Full, 70),
    ] {
        entitle(&world, tenant, 0, hard_before * MIB).await;
        measured(&world, tenant, at * MIB).await;
        let recorded = route(&world, tenant).await.storage;
        entitle(&world, tenant, 0, hard * MIB).await;
        assert_eq!(route(&world, tenant).await.storage, for_gateways);
        let before = world.catalog.current_revision().await.unwrap();
        measured(&world, tenant, then * MIB).await;
        assert_eq!(route(&world, tenant).await.storage, recorded, "as it was recorded before");
        assert!(world.catalog.current_revision().await.unwrap() > before, "gateways are told: {then}");
        measured(&world, tenant, then * MIB).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_tenant_that_grows_is_closed_and_a_larger_plan_opens_it() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    round(&world.engine, &ALWAYS).await.unwrap();
    entitle(&world, tenant, 0, 50 * MIB).await;
    measured(&world, tenant, 100 * MIB).await;
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Sealed, "however much it was");
    measured(&world, tenant, 200 * MIB).await;
    assert_eq!(
        route(&world, tenant).await.storage,
        StorageStanding::Sealed,
        "what was ended had written that"
    );
    let closed = eventually("it to be closed", async || {
        let sealed = world.catalog.storage_use(tenant).await.unwrap().sealed_bytes.unwrap();
        let bytes = sealed + 16 * MIB;
        measured(&world, tenant, bytes).await;
        (route(&world, tenant).await.storage == StorageStanding::Closed).then_some((sealed, bytes))
    });
    let (sealed, bytes) = closed.await;
    let limits = route(&world, tenant).await.limits;
    assert_eq!(limits.storage_standing(bytes, Some(sealed)), StorageStanding::Closed, "the same rule here");
    measured(&world, tenant, sealed).await;
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Sealed, "it is smaller again");
    measured(&world, tenant, bytes).await;
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Closed);
    entitle(&world, tenant, 0, 2 * bytes).await;
    assert_eq!(route(&world, tenant).await.storage, StorageStanding::Within, "at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_delays_no_other() {
    let world = World::new().await;
    let stuck = standard::tenant_in(&world, TenantState::Active).await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    // It takes connections, and says nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = world.move_to_port(stuck, silent.local_addr().unwrap().port()).await;
    let mut measuring = Measuring::new(world.engine.clone(), ALWAYS);
    let started = Instant::now();
    measuring.round().await.unwrap();
    let _unanswered = silent.accept().await.unwrap();
    let mut last = None;
    for _ in 0..3 {
        last = eventually("a measurement by a round", async || {
            let at = world.catalog.storage_use(tenant).await.unwrap().measured_at;
            (at > last).then_some(at)
        })
        .await;
        // On a machine on which that takes longer than connecting may, nothing can be said.
        let is_asked = measuring.clusters.busy().contains(&elsewhere);
        assert!(is_asked || started.elapsed() > Duration::from_secs(4), "the other has waited for it");
        eventually("the rest of the round", async || {
            measuring.clusters.busy().iter().all(|cluster| *cluster == elsewhere).then_some(())
        })
        .await;
        measuring.round().await.unwrap();
    }
}

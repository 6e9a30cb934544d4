use super::round;
use crate::operations::standard;
use crate::testing::World;
use catalog_schema::{AuditFilter, Context, Entitlement, Page, RouteRecord};
use config::StorageConfig;
use tenancy::{StorageStanding, TenantId, TenantState};

/// Every look finds everything due.
const ALWAYS: StorageConfig = StorageConfig { interval_ms: 0, rate_max: 1_000 };

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
        assert_eq!(limits.storage_standing(bytes), standing, "the same rule here and there");
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

use super::Passes;
use crate::context::EngineState;
use crate::operations::standard;
use crate::testing::{World, eventually};
use catalog_schema::{CatalogError, Context, Entitlement};
use std::time::{Duration, Instant};
use tenancy::{Access, TenantId, TenantState};
use tokio::net::TcpListener;

/// A pass, and what comes of it.
async fn pass(engine: &EngineState) -> Result<(), CatalogError> {
    let mut passes = Passes::new(engine.clone());
    passes.pass().await?;
    passes.clusters.finish().await;
    Ok(())
}

async fn entitle(world: &World, tenant: TenantId, own: Entitlement) {
    let context = Context { actor: "test".into(), request_id: "test".into() };
    let mut tx = world.catalog.begin(&context).await.unwrap();
    tx.entitlement_set(tenant, &own).await.unwrap();
    tx.commit().await.unwrap();
}

async fn shown(world: &World, tenant: TenantId, access: Access) -> [String; 3] {
    let mut client = match access {
        Access::Owner => world.log_in(tenant).await,
        _ => world.log_in_as(tenant, access).await,
    };
    let mut values = Vec::new();
    for name in ["statement_timeout", "idle_in_transaction_session_timeout", "work_mem"] {
        let answer = client.query(&format!("show {name}")).await.unwrap();
        values.push(answer[0][0].clone().unwrap());
    }
    values.try_into().unwrap()
}

fn limited() -> Entitlement {
    Entitlement {
        statement_timeout_ms: Some(61_000),
        idle_in_transaction_timeout_ms: Some(62_000),
        work_mem_kb: Some(5 * 1024),
        ..Entitlement::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_of_sessions_is_on_every_role_and_goes_with_the_plan() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let untouched = shown(&world, tenant, Access::Owner).await;
    let epoch = async || world.catalog.route_by_id(tenant).await.unwrap().unwrap().settings_epoch;
    assert_eq!(epoch().await, 0);
    entitle(&world, tenant, limited()).await;
    pass(&world.engine).await.unwrap();
    for access in Access::ALL {
        assert_eq!(shown(&world, tenant, access).await, ["61s", "62s", "5MB"], "{access}");
    }
    assert_eq!(epoch().await, 1, "gateways are told");
    pass(&world.engine).await.unwrap();
    assert_eq!(epoch().await, 1, "nothing is done twice");

    entitle(&world, tenant, Entitlement { work_mem_kb: Some(6 * 1024), ..Entitlement::default() }).await;
    pass(&world.engine).await.unwrap();
    let [statement, idle, _] = untouched.clone();
    for access in Access::ALL {
        assert_eq!(shown(&world, tenant, access).await, [&statement, &idle, "6MB"], "{access}");
    }
    entitle(&world, tenant, Entitlement::default()).await;
    pass(&world.engine).await.unwrap();
    assert_eq!(shown(&world, tenant, Access::Owner).await, untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_has_set_beside_its_plan_stays() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let own = "alter role current_user set work_mem = '3MB'; alter role current_user set lock_timeout = '9s'";
    world.log_in(tenant).await.query(own).await.unwrap();
    let own = Entitlement { statement_timeout_ms: Some(61_000), ..Entitlement::default() };
    entitle(&world, tenant, own).await;
    pass(&world.engine).await.unwrap();
    assert_eq!(shown(&world, tenant, Access::Owner).await[2], "3MB", "the plan says nothing of it");
    let lock_timeout = world.log_in(tenant).await.query("show lock_timeout").await.unwrap();
    assert_eq!(lock_timeout, [[Some("9s".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_lifts_its_plans_settings_has_them_put_back() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    entitle(&world, tenant, limited()).await;
    pass(&world.engine).await.unwrap();
    let database = world.catalog.placement_get(tenant).await.unwrap().unwrap().database;
    for lift in [
        "alter role current_user set statement_timeout = 0".to_owned(),
        "alter role current_user reset all".to_owned(),
        format!("alter role current_user in database {database} set work_mem = '1GB'"),
    ] {
        // Each time as if it were the first: who does so again and again waits longer.
        let before = world.catalog.route_by_id(tenant).await.unwrap().unwrap().settings_epoch;
        world.log_in(tenant).await.query(&lift).await.unwrap();
        super::super::access_roles::look_once(&world.engine).await;
        assert_eq!(shown(&world, tenant, Access::Owner).await, ["61s", "62s", "5MB"], "{lift}");
        let after = world.catalog.route_by_id(tenant).await.unwrap().unwrap().settings_epoch;
        assert!(after > before, "{lift}: sessions that began without are not to be used again");
    }
    assert!(world.engine.metrics.text().unwrap().contains("roles_put_in_order_total 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_delays_no_other() {
    let world = World::new().await;
    let stuck = standard::tenant_in(&world, TenantState::Active).await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    // It takes connections, and says nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = world.move_to_port(stuck, silent.local_addr().unwrap().port()).await;
    entitle(&world, stuck, limited()).await;
    entitle(&world, tenant, limited()).await;
    let mut passes = Passes::new(world.engine.clone());
    let started = Instant::now();
    passes.pass().await.unwrap();
    let _unanswered = silent.accept().await.unwrap();
    eventually("the other's roles have what they should", async || {
        let applied = world.catalog.role_settings_applied(tenant).await.unwrap();
        (applied == world.catalog.role_settings_wanted(tenant).await.unwrap()).then_some(())
    })
    .await;
    // On a machine on which that takes longer than connecting may, nothing can be said.
    let is_asked = passes.clusters.busy().contains(&elsewhere);
    assert!(is_asked || started.elapsed() > Duration::from_secs(4), "the other has waited for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_roles_cannot_be_changed_is_not_tried_at_each_pass() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let role = world.catalog.placement_get(tenant).await.unwrap().unwrap().role;
    let lost = format!("alter role {role} rename to {role}_lost");
    world.admin.batch_execute(&lost).await.unwrap();
    entitle(&world, tenant, limited()).await;
    let mut passes = Passes::new(world.engine.clone());
    for _ in 0..3 {
        passes.pass().await.unwrap();
        passes.clusters.finish().await;
    }
    let metrics = world.engine.metrics.text().unwrap();
    let failed = metrics.lines().find(|line| line.contains(r#"role_settings_total{outcome="failed"}"#));
    assert!(failed.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

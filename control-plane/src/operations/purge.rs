//! Removes a tenant for good: its database, role, credentials and place. What is left is a tombstone.
//!
//! There is no way back from the first step on, which is taken by the request: a tenant half removed is not one to
//! be served again. Whatever fails is tried again until it is done.

use super::context::StepContext;
use super::error::StepError;
use super::gateways;
use super::step::Step;
use super::target::Target;
use serde_json::{Value, json};
use tenancy::TenantState;

/// In order.
pub(super) static STEPS: [Step; 6] = [
    Step::new("refuse", "refuse the tenant's clients on every gateway", |cx| Box::pin(refuse(cx)))
        .begun_by_request()
        .point_of_no_return(),
    Step::new("fence", "let nobody into the database and end all sessions", |cx| Box::pin(fence(cx)))
        .point_of_no_return(),
    Step::new("drop-database", "drop the database, if it is the one on record", |cx| {
        Box::pin(drop_database(cx))
    })
    .point_of_no_return(),
    Step::new("drop-role", "drop the roles", |cx| Box::pin(drop_roles(cx))).point_of_no_return(),
    Step::new("forget", "remove the credentials and the place", |cx| Box::pin(forget(cx)))
        .point_of_no_return(),
    Step::new("bury", "leave a tombstone with the evidence", |cx| Box::pin(bury(cx))).point_of_no_return(),
];

async fn refuse(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    tx.tenant_set_state(cx.tenant(), TenantState::Purging).await?;
    tx.commit().await?;
    gateways::follow(cx).await
}

/// Holds whatever a gateway that did not follow may still try.
async fn fence(cx: &StepContext) -> Result<Value, StepError> {
    let Some(target) = Target::find(cx).await? else { return Ok(Value::Null) };
    let ddl = cx.change_cluster(&target.endpoint).await?;
    target.forbid_login(cx, &ddl).await?;
    let ended = match target.database_on_record(cx, &ddl).await? {
        Some(oid) => target.fence(cx, &ddl, oid).await?,
        None => 0,
    };
    ddl.release().await;
    Ok(json!({ "sessions_ended": ended }))
}

async fn drop_database(cx: &StepContext) -> Result<Value, StepError> {
    let Some(target) = Target::find(cx).await? else { return Ok(Value::Null) };
    let dropped = target.drop_database(cx).await?;
    Ok(json!({ "database": target.placement.database, "found": dropped.is_some() }))
}

async fn drop_roles(cx: &StepContext) -> Result<Value, StepError> {
    let Some(target) = Target::find(cx).await? else { return Ok(Value::Null) };
    let found = target.drop_roles(cx).await?;
    Ok(json!({ "role": target.placement.role, "found": found > 0, "roles_found": found }))
}

/// A tenant is gone when no gateway knows it any more: whoever knocks from here on is told what any stranger is.
async fn forget(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    let credentials = tx.credentials_delete(cx.tenant()).await?;
    tx.tenant_issuers_delete(cx.tenant()).await?;
    tx.placement_delete(cx.tenant()).await?;
    tx.commit().await?;
    let followed = gateways::follow(cx).await?;
    Ok(json!({ "credentials_removed": credentials, "followed": followed }))
}

/// The evidence comes from the ledger, which outlives the tenant, not from what steps remember: a step that
/// ran twice found nothing left to drop the second time.
async fn bury(cx: &StepContext) -> Result<Value, StepError> {
    let names = cx.catalog().physical_names(cx.tenant()).await?;
    let removed: Vec<Value> = names
        .into_iter()
        .map(|name| {
            json!({
                "kind": name.kind.as_str(), "name": name.name, "cluster": name.cluster, "oid": name.oid,
                "created_at": name.created_at, "dropped_at": name.dropped_at,
            })
        })
        .collect();
    let refused: Option<Value> = cx.output("refuse");
    let evidence = json!({ "operation": cx.operation(), "removed": removed, "refused": refused });
    let mut tx = cx.fenced().await?;
    let tenant = tx.tenant_bury(cx.tenant(), &evidence).await?;
    tx.commit().await?;
    Ok(json!({ "evidence": evidence, "purged_at": tenant.deleted_at }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::executor::Ended;
    use crate::operations::failpoint::{Failpoints, NoFailpoints};
    use crate::operations::registry::OperationKind;
    use crate::operations::standard::{self, Scenario};
    use crate::testing::{World, shared_server};
    use catalog_schema::{GatewayHeartbeat, OperationState};
    use std::sync::Arc;
    use tenancy::{GatewayId, OperationId, Revision, TenantId};

    struct Purge;

    impl Scenario for Purge {
        const KIND: OperationKind = OperationKind::Purge;
        const FROM: Option<TenantState> = Some(TenantState::Active);
        const REQUESTED: TenantState = TenantState::Purging;

        async fn assert_done(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Deleted);
            assert!(world.catalog.placement_get(tenant).await.unwrap().is_none());
            let names = world.catalog.physical_names(tenant).await.unwrap();
            assert_eq!(names.len(), 4);
            for name in &names {
                assert!(name.dropped_at.is_some() && !world.cluster_has(&name.name).await, "{name:?}");
            }
            let tombstone = world.catalog.tombstone_get(tenant).await.unwrap().unwrap();
            let removed = tombstone.evidence["removed"].as_array().unwrap();
            assert_eq!(removed.len(), names.len());
            assert!(
                removed.iter().all(|entry| entry["oid"].is_u64() && entry["dropped_at"].is_string()),
                "{removed:?}"
            );
        }

        async fn assert_undone(_: &World, _: TenantId) {
            panic!("a purge is never undone");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unwinds_after_each_step() {
        standard::unwinds_after_each_step::<Purge>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_each_step() {
        standard::repeats_each_step::<Purge>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn resumes_after_crash_at_each_step() {
        standard::resumes_after_crash_at_each_step::<Purge>().await;
    }

    /// Runs a purge until it is parked and says why it is.
    async fn parked(world: &World, operation: OperationId) -> Value {
        let none: Arc<dyn Failpoints> = Arc::new(NoFailpoints);
        let executor = standard::executor(world, &none, 1);
        let claimed = world.catalog.operation_claim(&executor.worker, executor.lease).await.unwrap().unwrap();
        assert!(matches!(executor.work(claimed).await, Ended::Parked(_)));
        world.catalog.operation_get(operation).await.unwrap().unwrap().error.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_of_another_oid_is_left_alone() {
        let world = World::new().await;
        let (tenant, operation) = standard::request::<Purge>(&world).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let (database, role) = (placement.database.as_str(), placement.role.as_str());
        world.admin.batch_execute(&format!("drop database {database}")).await.unwrap();
        world.admin.batch_execute(&format!("create database {database} owner {role}")).await.unwrap();
        assert_eq!(parked(&world, operation).await["code"], "not-ours");
        assert!(world.cluster_has(database).await);

        world.admin.batch_execute(&format!("drop database {database}")).await.unwrap();
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        Purge::assert_done(&world, tenant).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_role_without_the_tenants_mark_is_left_alone() {
        let world = World::new().await;
        let (tenant, operation) = standard::request::<Purge>(&world).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let role = placement.role.as_str();
        world.admin.batch_execute(&format!("comment on role {role} is 'somebody else'")).await.unwrap();
        assert_eq!(parked(&world, operation).await["code"], "not-ours");
        assert!(world.cluster_has(role).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_neighbour_has_granted_or_got_keeps_nobody() {
        let world = World::new().await;
        let neighbour = standard::tenant_in(&world, TenantState::Active).await;
        let (tenant, _) = standard::request::<Purge>(&world).await;
        let role = world.catalog.placement_get(tenant).await.unwrap().unwrap().role;
        let other = world.catalog.placement_get(neighbour).await.unwrap().unwrap();
        let database = &other.database;
        world.admin.batch_execute(&format!("grant {role} to {}", other.role)).await.unwrap();
        let mut client = world.log_in(neighbour).await;
        let grants = format!(
            "create table kept (n int); insert into kept values (1);
             create table given (n int); insert into given values (2);
             grant usage, create on schema public to {role}; grant connect on database {database} to {role};
             alter default privileges grant select on tables to {role}; alter table given owner to {role};"
        );
        client.query(&grants).await.unwrap();
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        Purge::assert_done(&world, tenant).await;
        let rows = client.query("select (select n from kept) + (select n from given)").await.unwrap();
        assert_eq!(rows, [[Some("3".to_owned())]], "the neighbour's data stays");
        client.query("drop table given").await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_owner_has_declared_or_prepared_keeps_nothing() {
        let world = World::new().await;
        let (tenant, _) = standard::request::<Purge>(&world).await;
        let database = world.catalog.placement_get(tenant).await.unwrap().unwrap().database;
        let mut client = world.log_in(tenant).await;
        client.query(&format!("alter database {database} is_template true")).await.unwrap();
        let prepare = format!("create table t (n int); prepare transaction 'it''s {database}'");
        for statement in ["begin", prepare.as_str()] {
            client.query(statement).await.unwrap();
        }
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        Purge::assert_done(&world, tenant).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sessions_inside_are_ended_and_a_hanging_gateway_is_waited_for_only_so_long() {
        let world = World::new().await;
        let (tenant, _) = standard::request::<Purge>(&world).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let inside = shared_server().await.connect(placement.database.as_str()).await.unwrap();
        let behind = GatewayHeartbeat {
            id: GatewayId::generate(),
            name: "hanging".to_owned(),
            region: "eu".parse().unwrap(),
            address: "127.0.0.1:1".to_owned(),
            applied_revision: Revision::new(0),
        };
        world.catalog.gateway_heartbeat(&behind).await.unwrap();
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        assert!(inside.simple_query("select 1").await.is_err());
        let tombstone = world.catalog.tombstone_get(tenant).await.unwrap().unwrap();
        assert_eq!(tombstone.evidence["refused"]["gateways_behind"], json!(["hanging"]));
        assert_eq!(tombstone.evidence["refused"]["gateways_unheard"], json!([]));
    }
}

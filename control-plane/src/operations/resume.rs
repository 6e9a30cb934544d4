//! Lets a suspended tenant in again. Its state changes last: gateways never meet a role that cannot log in.
//!
//! Its role and database are put in order again, so that suspending and resuming repairs a tenant that has locked
//! the gateways out, by another password for instance.

use super::context::StepContext;
use super::error::StepError;
use super::gateways;
use super::step::Step;
use super::target::Target;
use serde_json::{Value, json};
use tenancy::TenantState;

/// In order.
pub(super) static STEPS: [Step; 3] = [
    Step::new("allow-login", "let the roles log in by the keys on record", |cx| Box::pin(allow_login(cx)))
        .undo(|cx| Box::pin(forbid_login(cx))),
    Step::new("admit", "let the tenant's clients in", |cx| Box::pin(admit(cx)))
        .undo(|cx| Box::pin(refuse(cx))),
    Step::new("await-gateways", "wait until every gateway lets them in", |cx| Box::pin(gateways::follow(cx))),
];

async fn admit(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    let tenant = tx.tenant_set_state(cx.tenant(), TenantState::Active).await?;
    tx.commit().await?;
    Ok(json!({ "generation": tenant.generation }))
}

async fn refuse(cx: &StepContext) -> Result<(), StepError> {
    let mut tx = cx.fenced().await?;
    tx.tenant_set_state(cx.tenant(), TenantState::Suspended).await?;
    tx.commit().await?;
    Ok(())
}

async fn allow_login(cx: &StepContext) -> Result<Value, StepError> {
    Target::expect(cx).await?.open_login(cx).await?;
    Ok(Value::Null)
}

async fn forbid_login(cx: &StepContext) -> Result<(), StepError> {
    Target::expect(cx).await?.shut_login(cx).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::registry::OperationKind;
    use crate::operations::standard::{self, Scenario};
    use crate::testing::World;
    use catalog_schema::{Context, OperationState, RoleSettings};
    use tenancy::{Access, TenantId};

    struct Resume;

    impl Scenario for Resume {
        const KIND: OperationKind = OperationKind::Resume;
        const FROM: Option<TenantState> = Some(TenantState::Suspended);
        const REQUESTED: TenantState = TenantState::Suspended;

        async fn assert_done(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Active);
            for access in Access::ALL {
                world.log_in_as(tenant, access).await;
            }
        }

        async fn assert_undone(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Suspended);
            for access in Access::ALL {
                assert!(world.try_log_in_as(tenant, access).await.is_none(), "{access}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unwinds_after_each_step() {
        standard::unwinds_after_each_step::<Resume>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_each_step() {
        standard::repeats_each_step::<Resume>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_locked_the_gateways_out_is_repaired() {
        let world = World::new().await;
        let tenant = standard::tenant_in(&world, TenantState::Active).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let mut client = world.log_in(tenant).await;
        let locking = format!(
            "alter database {database} connection limit 0;
             alter role current_user set default_transaction_read_only = on;
             alter role current_user in database {database} set statement_timeout = 1;
             alter role current_user password 'another';",
            database = placement.database
        );
        client.query(&locking).await.unwrap();
        assert!(world.try_log_in(tenant).await.is_none());
        standard::suspend(&world, tenant).await;
        standard::request_on(&world, tenant, OperationKind::Resume, TenantState::Suspended).await;
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        let mut client = world.log_in(tenant).await;
        client.query("create table t (n int)").await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_other_roles_did_to_themselves_is_repaired_and_what_the_owner_took_stays_taken() {
        let world = World::new().await;
        let tenant = standard::tenant_in(&world, TenantState::Active).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let reader = placement.access_roles.iter().find(|role| role.access == Access::Read).unwrap();
        let mut owner = world.log_in(tenant).await;
        let schema = format!(
            "create table shown (); create table secret (); revoke all on secret from {}",
            reader.login.role
        );
        owner.query(&schema).await.unwrap();
        for access in Access::GRANTED {
            let mut client = world.log_in_as(tenant, access).await;
            let locking = "alter role current_user password 'another';
                           alter role current_user set default_transaction_read_only = on";
            client.query(locking).await.unwrap();
            assert!(world.try_log_in_as(tenant, access).await.is_none(), "{access}");
        }
        standard::suspend(&world, tenant).await;
        standard::request_on(&world, tenant, OperationKind::Resume, TenantState::Suspended).await;
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        for access in Access::GRANTED {
            let mut client = world.log_in_as(tenant, access).await;
            client.query("table shown").await.unwrap();
        }
        assert!(world.log_in_as(tenant, Access::Read).await.query("table secret").await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_plans_settings_are_on_the_roles_again() {
        let world = World::new().await;
        let tenant = standard::tenant_in(&world, TenantState::Active).await;
        let settings = RoleSettings { work_mem_kb: 5 * 1024, ..RoleSettings::default() };
        let context = Context { actor: "test".into(), request_id: "test".into() };
        let mut tx = world.catalog.begin(&context).await.unwrap();
        tx.role_settings_set(tenant, &settings, "test").await.unwrap();
        tx.commit().await.unwrap();
        standard::suspend(&world, tenant).await;
        standard::request_on(&world, tenant, OperationKind::Resume, TenantState::Suspended).await;
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        for access in Access::ALL {
            let mut client = world.log_in_as(tenant, access).await;
            let work_mem = client.query("show work_mem").await.unwrap();
            assert_eq!(work_mem, [[Some("5MB".to_owned())]], "{access}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn resumes_after_crash_at_each_step() {
        standard::resumes_after_crash_at_each_step::<Resume>().await;
    }
}

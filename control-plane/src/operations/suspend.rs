//! Refuses a tenant at the door. Its data stays as it is.
//!
//! The request itself changes the state, so that gateways refuse at once however much work is queued; the
//! operation tells when all of them do, and shuts the door in PostgreSQL too: the tenant may know the password of
//! its role, because it may have set it. Transactions that run get a few seconds to end.
//!
//! What counts is that the tenant is refused. A cluster that cannot be reached does not let it in again: the door there
//! is tried until it is shut, and the operation says what it waits for.

use super::context::StepContext;
use super::error::StepError;
use super::gateways;
use super::step::Step;
use super::target::Target;
use serde_json::{Value, json};
use tenancy::TenantState;

/// In order.
pub(super) static STEPS: [Step; 3] = [
    Step::new("refuse", "refuse the tenant's clients", |cx| Box::pin(refuse(cx)))
        .begun_by_request()
        .point_of_no_return(),
    Step::new("await-gateways", "wait until every gateway refuses them", |cx| Box::pin(gateways::follow(cx))),
    Step::new("forbid-login", "let the roles log in no more and end their sessions", |cx| {
        Box::pin(forbid_login(cx))
    }),
];

async fn refuse(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    let tenant = tx.tenant_set_state(cx.tenant(), TenantState::Suspended).await?;
    tx.commit().await?;
    Ok(json!({ "generation": tenant.generation }))
}

async fn forbid_login(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    target.wind_down(cx).await?;
    let ended = target.shut_login(cx).await?;
    Ok(json!({ "sessions_ended": ended }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::registry::OperationKind;
    use crate::operations::standard::{self, Scenario};
    use crate::testing::World;
    use catalog_schema::OperationState;
    use tenancy::{Access, TenantId};

    struct Suspend;

    impl Scenario for Suspend {
        const KIND: OperationKind = OperationKind::Suspend;
        const FROM: Option<TenantState> = Some(TenantState::Active);
        const REQUESTED: TenantState = TenantState::Suspended;

        async fn assert_done(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Suspended);
            for access in Access::ALL {
                assert!(world.try_log_in_as(tenant, access).await.is_none(), "{access}");
            }
        }

        async fn assert_undone(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Active);
            for access in Access::ALL {
                world.log_in_as(tenant, access).await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unwinds_after_each_step() {
        standard::unwinds_after_each_step::<Suspend>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_each_step() {
        standard::repeats_each_step::<Suspend>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_is_inside_is_put_out() {
        let world = World::new().await;
        let (tenant, _) = standard::request::<Suspend>(&world).await;
        let mut client = world.log_in(tenant).await;
        let own = "alter role current_user password 'known to the tenant'";
        client.query(own).await.unwrap();
        assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
        assert!(client.query("select 1").await.is_err());
        let role = world.catalog.placement_get(tenant).await.unwrap().unwrap().role;
        let sql = "select rolcanlogin from pg_roles where rolname = $1";
        assert!(!world.admin.query_one(sql, &[&role.as_str()]).await.unwrap().get::<_, bool>(0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn resumes_after_crash_at_each_step() {
        standard::resumes_after_crash_at_each_step::<Suspend>().await;
    }
}

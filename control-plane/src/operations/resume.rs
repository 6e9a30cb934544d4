//! Lets a suspended tenant in again. Like suspending, the request itself changes the state.

use super::context::StepContext;
use super::error::StepError;
use super::gateways;
use super::step::Step;
use serde_json::{Value, json};
use tenancy::TenantState;

/// In order.
pub(super) static STEPS: [Step; 2] = [
    Step::new("admit", "let the tenant's clients in", |cx| Box::pin(admit(cx)))
        .begun_by_request()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::registry::OperationKind;
    use crate::operations::standard::{self, Scenario};
    use crate::testing::World;
    use tenancy::TenantId;

    struct Resume;

    impl Scenario for Resume {
        const KIND: OperationKind = OperationKind::Resume;
        const FROM: Option<TenantState> = Some(TenantState::Suspended);
        const REQUESTED: TenantState = TenantState::Active;

        async fn assert_done(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Active);
        }

        async fn assert_undone(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Suspended);
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
    async fn resumes_after_crash_at_each_step() {
        standard::resumes_after_crash_at_each_step::<Resume>().await;
    }
}

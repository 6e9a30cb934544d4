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

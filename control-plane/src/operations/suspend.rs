//! Refuses a tenant at the door. Its data stays as it is.
//!
//! The request itself changes the state, so that gateways refuse at once however much work is queued; the
//! operation tells when all of them do.

use super::context::StepContext;
use super::error::StepError;
use super::gateways;
use super::step::Step;
use serde_json::{Value, json};
use tenancy::TenantState;

/// In order.
pub(super) static STEPS: [Step; 2] = [
    Step::new("refuse", "refuse the tenant's clients", |cx| Box::pin(refuse(cx)))
        .begun_by_request()
        .undo(|cx| Box::pin(admit(cx))),
    Step::new("await-gateways", "wait until every gateway refuses them", |cx| Box::pin(gateways::follow(cx))),
];

async fn refuse(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    let tenant = tx.tenant_set_state(cx.tenant(), TenantState::Suspended).await?;
    tx.commit().await?;
    Ok(json!({ "generation": tenant.generation }))
}

async fn admit(cx: &StepContext) -> Result<(), StepError> {
    let mut tx = cx.fenced().await?;
    tx.tenant_set_state(cx.tenant(), TenantState::Active).await?;
    tx.commit().await?;
    Ok(())
}

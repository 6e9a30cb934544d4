//! Suspending, resuming and deleting tenants.
//!
//! A request that shuts a tenant out changes its state in the transaction that queues the operation: gateways act on it
//! at once, however much other work is queued. One that lets it in leaves that to the operation, which first sees to
//! it that gateways get in.

use super::super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::super::document::Problems;
use super::super::extract::{Named, Params};
use super::super::mutation::{Begun, Mutation};
use super::super::operations::{Operation, enqueue};
use super::super::plan::{DryRun, Plan, Removes};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::{Tenant, find};
use crate::access_roles;
use crate::context::ApiState;
use crate::operations::OperationKind;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{CatalogError, TenantRecord};
use serde::Serialize;
use tenancy::TenantState;
use utoipa::ToSchema;

/// A tenant on its way to another state.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantChanging {
    /// The tenant, in its new state already unless it is being resumed.
    tenant: Tenant,
    /// What completes the change.
    operation: Operation,
}

/// Refuse a tenant's clients; its data stays.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/suspend", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug"), DryRun, ChangeHeaders, ConditionHeaders),
    responses(
        (status = 202, description = "Suspended, gateways are told", body = TenantChanging),
        (status = 200, description = "With dry_run: what would happen", body = Plan),
        Problems
    )
)]
pub(in super::super) async fn tenant_suspend(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    Params(dry_run): Params<DryRun>,
) -> ApiResult<Response> {
    change_state(&state, &tenant, &caller, &dry_run, OperationKind::Suspend).await
}

/// Let a suspended tenant's clients in again.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/resume", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug"), DryRun, ChangeHeaders, ConditionHeaders),
    responses(
        (status = 202, description = "Active again once the operation is done", body = TenantChanging),
        (status = 200, description = "With dry_run: what would happen", body = Plan),
        Problems
    )
)]
pub(in super::super) async fn tenant_resume(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    Params(dry_run): Params<DryRun>,
) -> ApiResult<Response> {
    change_state(&state, &tenant, &caller, &dry_run, OperationKind::Resume).await
}

/// Delete a tenant for good: its database is dropped. There is no way back.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "Its id or slug"), DryRun, ChangeHeaders, ConditionHeaders),
    responses(
        (status = 202, description = "Refused at once, its data is being removed", body = TenantChanging),
        (status = 200, description = "With dry_run: what would happen", body = Plan),
        Problems
    )
)]
pub(in super::super) async fn tenant_delete(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    Params(dry_run): Params<DryRun>,
) -> ApiResult<Response> {
    change_state(&state, &tenant, &caller, &dry_run, OperationKind::Purge).await
}

async fn change_state(
    state: &ApiState,
    tenant: &str,
    caller: &Caller,
    DryRun { dry_run }: &DryRun,
    kind: OperationKind,
) -> ApiResult<Response> {
    let mut change = if *dry_run {
        Mutation::rehearse(state, caller).await?
    } else {
        match Mutation::begin(state, caller, &[]).await? {
            Begun::Fresh(change) => *change,
            Begun::Replay(answer) => return Ok(answer),
        }
    };
    let found = find(state, tenant).await?;
    let before = change.tx.lock_tenant(found.id).await?;
    if let Some(expected) = caller.expected_version
        && expected != before.version
    {
        return Err(CatalogError::StaleVersion { current: before.version }.into());
    }
    refuse_if_busy(state, &before).await?;
    let (to, verb) = destination(kind);
    if before.state == to || !before.state.may_become(to) {
        let detail = format!("a tenant that is {} cannot be {verb}", before.state);
        return Err(Problem::new(ProblemKind::TenantState).detail(detail));
    }
    let after = match kind {
        OperationKind::Resume => before,
        _ => change.tx.tenant_set_state(before.id, to).await?,
    };
    if *dry_run {
        change.abandon().await?;
        return plan(state, caller, kind, after).await?.show();
    }
    let operation = enqueue(&mut change.tx, kind, &after).await?;
    let tenant = Tenant::from(after).seen_by(&caller.principal);
    change.finish(StatusCode::ACCEPTED, &TenantChanging { tenant, operation }).await
}

/// The state that an operation leads to, and what it does to a tenant, in one word.
const fn destination(kind: OperationKind) -> (TenantState, &'static str) {
    match kind {
        OperationKind::Provision => (TenantState::Active, "provisioned"),
        OperationKind::Suspend => (TenantState::Suspended, "suspended"),
        OperationKind::Resume => (TenantState::Active, "resumed"),
        OperationKind::Purge => (TenantState::Purging, "deleted"),
    }
}

/// The catalog refuses a second operation too; here the answer can name the first.
async fn refuse_if_busy(state: &ApiState, tenant: &TenantRecord) -> ApiResult<()> {
    let Some(operation) = state.catalog.operation_unfinished(tenant.id).await? else { return Ok(()) };
    let detail = format!("its {} is {}", operation.kind, operation.state);
    Err(Problem::new(ProblemKind::OperationInProgress).detail(detail).operation(operation.id))
}

/// What would happen. Where it would is the operator's to know.
async fn plan(
    state: &ApiState,
    caller: &Caller,
    kind: OperationKind,
    tenant: TenantRecord,
) -> ApiResult<Plan> {
    if kind != OperationKind::Purge || !caller.principal.is_operator() {
        return Ok(Plan::new(kind, Tenant::from(tenant).seen_by(&caller.principal)));
    }
    let placement = state.catalog.placement_get(tenant.id).await?;
    let removes = Removes {
        cluster: tenant.cluster.as_ref().map(ToString::to_string),
        database: placement.as_ref().map(|placement| placement.database.to_string()),
        database_oid: placement.as_ref().and_then(|placement| placement.database_oid),
        roles: placement.iter().flat_map(access_roles::names).map(ToString::to_string).collect(),
    };
    Ok(Plan::new(kind, tenant.into()).removes(removes))
}

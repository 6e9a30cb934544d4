//! Operations: durable work, to be polled, streamed or cancelled.

mod events;

pub(super) use events::{__path_operation_events, operation_events};

use super::auth::Principal;
use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Named, Params, field_as};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::words;
use crate::context::ApiState;
use crate::operations::OperationKind;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{
    Catalog, Direction, NewOperation, OperationFilter, OperationRecord, StepRecord, StepState, TenantRecord,
    Tx,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenancy::{OperationId, Permission, TenantId};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A durable piece of work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Operation {
    /// Its id.
    id: Uuid,
    /// What it does.
    #[schema(example = "provision")]
    kind: String,
    /// The tenant that it works on.
    tenant_id: Option<Uuid>,
    /// Where it stands.
    #[schema(schema_with = words::operation_state)]
    state: &'static str,
    /// `forward`, or `undo` once its steps are being taken back.
    direction: &'static str,
    /// Why it failed, or what its last attempt met. Only the operator gets the `message` too.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// Somebody asked to stop it.
    cancel_requested: bool,
    /// Its steps, in order; left out in listings.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<OperationStep>>,
    /// Who asked for it.
    actor: String,
    /// The request that led to it.
    request_id: String,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it changed last.
    updated_at: Timestamp,
    /// When it is taken up next, while it waits.
    next_run_at: Timestamp,
    /// When it came to its end.
    finished_at: Option<Timestamp>,
}

/// One step of an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationStep {
    /// What it does.
    #[schema(example = "create-database")]
    name: String,
    /// `pending`, `running`, `done`, `undone` or `failed`.
    state: &'static str,
    /// How often it was begun, in either direction.
    attempt: u32,
    /// What came of it. Null for anybody but the operator.
    #[schema(value_type = Option<Object>, required)]
    output: Value,
    /// Why it failed, or what its last attempt met. Only the operator gets the `message` too.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// When it was begun first.
    started_at: Option<Timestamp>,
    /// When it was done, undone, or failed for good.
    finished_at: Option<Timestamp>,
}

impl Operation {
    fn without_steps(record: OperationRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            kind: record.kind,
            tenant_id: record.tenant.map(TenantId::as_uuid),
            state: record.state.as_str(),
            direction: record.direction.as_str(),
            error: record.error,
            cancel_requested: record.cancel_requested,
            steps: None,
            actor: record.actor,
            request_id: record.request_id,
            created_at: record.created_at,
            updated_at: record.updated_at,
            next_run_at: record.next_run_at,
            finished_at: record.finished_at,
        }
    }

    fn with_steps(record: OperationRecord, steps: Vec<StepRecord>) -> Self {
        let steps = steps.into_iter().map(OperationStep::from).collect();
        Self { steps: Some(steps), ..Self::without_steps(record) }
    }

    /// What a principal is to see of it. What steps report tells of clusters, gateways and servers: the fleet is the
    /// operator's.
    fn seen_by(mut self, principal: &Principal) -> Self {
        if principal.is_operator() {
            return self;
        }
        self.error = self.error.as_ref().map(without_message);
        for step in self.steps.iter_mut().flatten() {
            step.output = Value::Null;
            step.error = step.error.as_ref().map(without_message);
        }
        self
    }
}

/// What kind of error it was and where. The rest can hold whatever a server said.
fn without_message(error: &Value) -> Value {
    json!({ "code": error["code"], "step": error["step"], "retryable": error["retryable"] })
}

impl From<StepRecord> for OperationStep {
    fn from(record: StepRecord) -> Self {
        Self {
            name: record.name,
            state: record.state.as_str(),
            attempt: record.attempt,
            output: record.output,
            error: record.error,
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}

/// Queues an operation on a tenant, in the transaction of the change that needs it.
pub(super) async fn enqueue(tx: &mut Tx, kind: OperationKind, tenant: &TenantRecord) -> ApiResult<Operation> {
    let new = NewOperation {
        id: OperationId::generate(),
        kind: kind.as_str().to_owned(),
        tenant: Some(tenant.id),
        params: json!({ "slug": tenant.slug }),
        steps: kind.step_names(),
        run_at: None,
    };
    let record = tx.operation_enqueue(&new).await?;
    let pending = kind.step_names().into_iter().map(|name| OperationStep {
        name,
        state: StepState::Pending.as_str(),
        attempt: 0,
        output: Value::Null,
        error: None,
        started_at: None,
        finished_at: None,
    });
    Ok(Operation { steps: Some(pending.collect()), ..Operation::without_steps(record) })
}

/// Which operations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OperationQuery {
    /// On this tenant, by its id or slug.
    tenant: Option<String>,
    /// In this state.
    #[param(schema_with = words::operation_state)]
    state: Option<String>,
    /// Of this kind, such as `provision`.
    kind: Option<String>,
    /// Items in the page, 1 to 200; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List operations, the newest first.
#[utoipa::path(
    get, path = "/v1/operations", tag = "operations", params(OperationQuery),
    responses((status = 200, description = "Operations, the newest first", body = Page<Operation>), Problems)
)]
pub(super) async fn operation_list(
    State(state): State<ApiState>,
    caller: Caller,
    Params(wanted): Params<OperationQuery>,
) -> ApiResult<Response> {
    let query = PageQuery { limit: wanted.limit, cursor: wanted.cursor };
    let limit = query.limit()?;
    let tenant = match &wanted.tenant {
        Some(text) => Some(caller.tenant(&state, text, Permission::TenantRead).await?),
        None => None,
    };
    let in_state = wanted.state.as_deref().map(|word| field_as(ProblemKind::InvalidQuery, "state", word));
    let kind = wanted.kind.as_deref().map(known_kind).transpose()?;
    let among = caller.among(Permission::TenantRead);
    let filter = OperationFilter { tenant, among, state: in_state.transpose()?, kind, unfinished: false };
    let operations = state.catalog.operations(&filter, &query.page()?).await?;
    let seen = |record| Operation::without_steps(record).seen_by(&caller.principal);
    shown(&Page::cut(operations, limit, |operation| operation.id.as_uuid(), seen))
}

fn known_kind(word: &str) -> ApiResult<String> {
    let known = OperationKind::parse(word).map(|kind| kind.as_str().to_owned());
    known.ok_or_else(|| {
        let kinds = OperationKind::ALL.map(OperationKind::as_str).join(", ");
        let problem = Problem::new(ProblemKind::InvalidQuery).detail("there are no operations of this kind");
        problem.hint(format!("known kinds: {kinds}")).field("kind")
    })
}

/// Show an operation and its steps.
#[utoipa::path(
    get, path = "/v1/operations/{operation}", tag = "operations",
    params(("operation" = Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The operation", body = Operation), Problems)
)]
pub(super) async fn operation_get(
    State(state): State<ApiState>,
    Named(operation): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    shown(&find(&state.catalog, parse_id(&operation)?, &caller.principal).await?)
}

/// Ask to stop an operation. What it has done is undone; one past its point of no return goes on.
#[utoipa::path(
    post, path = "/v1/operations/{operation}/cancel", tag = "operations",
    params(("operation" = Uuid, Path, description = "Its id"), ChangeHeaders),
    responses((status = 202, description = "Asked; poll it to see", body = Operation), Problems)
)]
pub(super) async fn operation_cancel(
    State(state): State<ApiState>,
    Named(operation): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let id = parse_id(&operation)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    // Locked: between this look and the request for the end the worker must not pass its point of no return.
    let (record, steps) = change.tx.operation_lock(id).await?.ok_or(ProblemKind::OperationNotFound)?;
    if record.state.is_finished() {
        let detail = format!("it is {}", record.state);
        return Err(Problem::new(ProblemKind::OperationFinished).detail(detail));
    }
    if record.direction == Direction::Forward && past_return(&record, &steps) {
        return Err(ProblemKind::OperationNotCancellable.into());
    }
    let record = change.tx.operation_cancel(id).await?;
    change.finish(StatusCode::ACCEPTED, &Operation::with_steps(record, steps)).await
}

/// Has a step begun that cannot be undone?
fn past_return(record: &OperationRecord, steps: &[StepRecord]) -> bool {
    let Some(kind) = OperationKind::parse(&record.kind) else { return false };
    kind.steps().iter().zip(steps).any(|(step, record)| step.has_no_return(record.state))
}

fn parse_id(text: &str) -> ApiResult<OperationId> {
    text.parse().map_err(|_| Problem::from(ProblemKind::OperationNotFound))
}

/// Reads an operation with its steps, as far as a principal sees them.
async fn find(catalog: &Catalog, id: OperationId, principal: &Principal) -> ApiResult<Operation> {
    let record = catalog.operation_get(id).await?.ok_or(ProblemKind::OperationNotFound)?;
    let steps = catalog.operation_steps(id).await?;
    Ok(Operation::with_steps(record, steps).seen_by(principal))
}

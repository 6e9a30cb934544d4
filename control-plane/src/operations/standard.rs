//! The three tests that every operation passes, against a real server: undone after a failure at each step, each
//! step repeated, killed and resumed at each step. Backward too.

use super::executor::{Ended, Executor};
use super::failpoint::{Action, Failpoints, Moment};
use super::registry::OperationKind;
use super::step::Step;
use crate::testing::{World, eventually, somebody};
use catalog_schema::{NewOperation, NewTenant, OperationFilter, OperationState, Page, TenantRecord};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tenancy::{Isolation, OperationId, TenantId, TenantState};
use tokio_util::sync::CancellationToken;

/// Short, so that a claim of a worker that "died" is soon free.
pub(super) const LEASE: Duration = Duration::from_millis(400);

/// One operation under test.
pub(super) trait Scenario {
    const KIND: OperationKind;
    /// The state that the tenant is in before; `None` for provision, which begins with one that does not exist.
    const FROM: Option<TenantState>;
    /// The state that the request itself sets.
    const REQUESTED: TenantState;
    /// Everything is as the operation promises.
    async fn assert_done(world: &World, tenant: TenantId);
    /// Everything is as it was before.
    async fn assert_undone(world: &World, tenant: TenantId);
}

/// Does something so many times, at one moment of one step (of any, if it names none).
pub(super) struct Script {
    step: Option<&'static str>,
    moment: Moment,
    action: Action,
    times: AtomicU32,
}

impl Script {
    fn once(step: &'static str, moment: Moment, action: Action) -> Self {
        Self { step: Some(step), moment, action, times: AtomicU32::new(1) }
    }

    fn always(moment: Moment, action: Action) -> Self {
        Self { step: None, moment, action, times: AtomicU32::new(u32::MAX) }
    }
}

/// Several of them.
struct Scripts(Vec<Script>);

impl Failpoints for Scripts {
    fn reached(&self, _: OperationId, step: &str, moment: Moment) -> Action {
        for script in &self.0 {
            let fits = script.moment == moment && script.step.is_none_or(|wanted| wanted == step);
            let left = |times: u32| times.checked_sub(1);
            if fits && script.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
                return script.action;
            }
        }
        Action::Continue
    }
}

/// Fails before and after each step: everything before the point of no return is undone, from there on it is done.
pub(super) async fn unwinds_after_each_step<S: Scenario>() {
    let world = World::new().await;
    for (index, step) in S::KIND.steps().iter().enumerate() {
        for moment in [Moment::BeforeRun, Moment::AfterRun] {
            let (tenant, operation) = request::<S>(&world).await;
            let ended = drive(&world, vec![Script::once(step.name, moment, Action::Fail)]).await;
            let case = format!("{} failing at {} {moment:?}", S::KIND, step.name);
            if past_return(S::KIND, index) {
                assert_eq!(ended, OperationState::Succeeded, "{case}");
                S::assert_done(&world, tenant).await;
            } else {
                assert_eq!(ended, OperationState::Failed, "{case}");
                let record = world.catalog.operation_get(operation).await.unwrap().unwrap();
                assert_eq!(record.error.unwrap()["step"], step.name, "{case}");
                S::assert_undone(&world, tenant).await;
            }
        }
    }
}

/// Runs each step twice, forward and backward.
pub(super) async fn repeats_each_step<S: Scenario>() {
    let world = World::new().await;
    let (tenant, _) = request::<S>(&world).await;
    let ended = drive(&world, vec![Script::always(Moment::AfterRun, Action::Repeat)]).await;
    assert_eq!(ended, OperationState::Succeeded);
    S::assert_done(&world, tenant).await;

    let Some(last) = last_undoable(S::KIND) else { return };
    let (tenant, _) = request::<S>(&world).await;
    let scripts = vec![
        Script::once(last.name, Moment::AfterRun, Action::Fail),
        Script::always(Moment::AfterUndo, Action::Repeat),
    ];
    assert_eq!(drive(&world, scripts).await, OperationState::Failed);
    S::assert_undone(&world, tenant).await;
}

/// Dies at each moment of each step; the next worker takes over when the claim has run out.
pub(super) async fn resumes_after_crash_at_each_step<S: Scenario>() {
    let forward = [Moment::BeforeRun, Moment::AfterRun];
    let backward = [Moment::BeforeUndo, Moment::AfterUndo];
    let forward = forward.map(|moment| Box::pin(crashes_forward::<S>(moment)));
    let backward = backward.map(|moment| Box::pin(crashes_backward::<S>(moment)));
    tokio::join!(futures_util::future::join_all(forward), futures_util::future::join_all(backward));
}

async fn crashes_forward<S: Scenario>(moment: Moment) {
    let world = World::new().await;
    for step in S::KIND.steps() {
        let (tenant, _) = request::<S>(&world).await;
        let ended = drive(&world, vec![Script::once(step.name, moment, Action::Crash)]).await;
        assert_eq!(ended, OperationState::Succeeded, "{} killed at {} {moment:?}", S::KIND, step.name);
        S::assert_done(&world, tenant).await;
    }
}

async fn crashes_backward<S: Scenario>(moment: Moment) {
    let world = World::new().await;
    let Some(last) = last_undoable(S::KIND) else { return };
    let undone = S::KIND.steps().iter().filter(|step| matches!(step.reversal, super::step::Reversal::By(_)));
    for step in undone {
        let (tenant, _) = request::<S>(&world).await;
        let scripts = vec![
            Script::once(last.name, Moment::AfterRun, Action::Fail),
            Script::once(step.name, moment, Action::Crash),
        ];
        let ended = drive(&world, scripts).await;
        assert_eq!(ended, OperationState::Failed, "{} killed at {} {moment:?}", S::KIND, step.name);
        S::assert_undone(&world, tenant).await;
    }
}

fn past_return(kind: OperationKind, index: usize) -> bool {
    kind.steps()[..=index].iter().any(Step::is_point_of_no_return)
}

fn last_undoable(kind: OperationKind) -> Option<&'static Step> {
    kind.steps().iter().take_while(|step| !step.is_point_of_no_return()).last()
}

/// Brings a tenant into the state before, and then does what the API's handler does in its transaction.
pub(super) async fn request<S: Scenario>(world: &World) -> (TenantId, OperationId) {
    let Some(state) = S::FROM else { return request_provision(world).await };
    let tenant = tenant_in(world, state).await;
    (tenant, request_on(world, tenant, S::KIND, S::REQUESTED).await)
}

/// Does what the API's handler does in its transaction.
pub(crate) async fn request_on(
    world: &World,
    tenant: TenantId,
    kind: OperationKind,
    state: TenantState,
) -> OperationId {
    let mut tx = world.catalog.begin(&somebody()).await.unwrap();
    let tenant = tx.tenant_set_state(tenant, state).await.unwrap();
    let operation = new_operation(kind, &tenant);
    tx.operation_enqueue(&operation).await.unwrap();
    tx.commit().await.unwrap();
    operation.id
}

fn new_operation(kind: OperationKind, tenant: &TenantRecord) -> NewOperation {
    NewOperation {
        id: OperationId::generate(),
        kind: kind.as_str().to_owned(),
        tenant: Some(tenant.id),
        params: json!({}),
        steps: kind.step_names(),
        run_at: None,
    }
}

pub(super) fn new_tenant() -> NewTenant {
    let id = TenantId::generate();
    NewTenant {
        id,
        slug: format!("t{}", id.as_uuid().simple()).parse().unwrap(),
        display_name: "Test".to_owned(),
        region: "eu".parse().unwrap(),
        allowed_regions: vec!["eu".parse().unwrap()],
        plan: "standard".parse().unwrap(),
        isolation: Isolation::Database,
    }
}

/// A tenant whose provision nobody has begun.
pub(super) async fn request_provision(world: &World) -> (TenantId, OperationId) {
    let mut tx = world.catalog.begin(&somebody()).await.unwrap();
    let tenant = tx.tenant_create(&new_tenant()).await.unwrap();
    let operation = new_operation(OperationKind::Provision, &tenant);
    tx.operation_enqueue(&operation).await.unwrap();
    tx.commit().await.unwrap();
    (tenant.id, operation.id)
}

/// A provisioned tenant, suspended if that is asked for.
pub(crate) async fn tenant_in(world: &World, state: TenantState) -> TenantId {
    let (tenant, _) = request_provision(world).await;
    assert_eq!(drive(world, vec![]).await, OperationState::Succeeded);
    if state == TenantState::Suspended {
        suspend(world, tenant).await;
    }
    tenant
}

/// Suspends a tenant, all the way.
pub(super) async fn suspend(world: &World, tenant: TenantId) {
    request_on(world, tenant, OperationKind::Suspend, TenantState::Suspended).await;
    assert_eq!(drive(world, vec![]).await, OperationState::Succeeded);
}

/// Works the only unfinished operation off, as workers do, one after the other as they die.
pub(super) async fn drive(world: &World, scripts: Vec<Script>) -> OperationState {
    let failpoints: Arc<dyn Failpoints> = Arc::new(Scripts(scripts));
    let mut worker = 0;
    loop {
        worker += 1;
        let executor = executor(world, &failpoints, worker);
        let claimed = eventually("an operation to claim, or none left", async || {
            match world.catalog.operation_claim(&executor.worker, LEASE).await.unwrap() {
                Some(claimed) => Some(Ok(claimed)),
                None => finished(world).await.map(Err),
            }
        });
        match claimed.await {
            // Lost: on a busy machine a renewal can come too late, and that too has to end well.
            Ok(claimed) => match executor.work(claimed).await {
                Ended::Finished(state) => return state,
                Ended::Parked(_) | Ended::Crashed | Ended::Lost => {}
            },
            Err(state) => return state,
        }
    }
}

/// The end of the newest operation, if none is unfinished.
async fn finished(world: &World) -> Option<OperationState> {
    let newest = world.catalog.operations(&OperationFilter::default(), &Page::first(1)).await.unwrap();
    newest.first().map(|operation| operation.state).filter(|state| state.is_finished())
}

pub(super) fn executor(world: &World, failpoints: &Arc<dyn Failpoints>, number: u32) -> Executor {
    Executor {
        state: world.engine.clone(),
        failpoints: Arc::clone(failpoints),
        lease: LEASE,
        worker: format!("worker-{number}"),
        shutdown: CancellationToken::new(),
    }
}

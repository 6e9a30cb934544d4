//! What holds for every operation alike: claims, shutting down, and operations that are not ours to run.

use super::run::UNKNOWN_KIND_PAUSE;
use super::*;
use crate::operations::context::StepContext;
use crate::operations::failpoint::{Action, Moment, NoFailpoints};
use crate::operations::registry::OperationKind;
use crate::operations::standard::{self, LEASE};
use crate::testing::{World, eventually};
use tenancy::{OperationId, TenantId, TenantState};

fn executor(world: &World, number: u32) -> Executor {
    let none: Arc<dyn Failpoints> = Arc::new(NoFailpoints);
    standard::executor(world, &none, number)
}

async fn claim(world: &World, executor: &Executor) -> ClaimedOperation {
    let look = async || world.catalog.operation_claim(&executor.worker, LEASE).await.unwrap();
    eventually("an operation to claim", look).await
}

fn context(world: &World, claim: Claim, claimed: &ClaimedOperation) -> StepContext {
    let audit = Context { actor: "test".to_owned(), request_id: "test".to_owned() };
    StepContext::new(world.engine.clone(), claim, audit, claimed.operation.tenant.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_the_claim_writes_and_changes_nothing_more() {
    let world = World::new().await;
    let (slow, quick) = (executor(&world, 1), executor(&world, 2));
    standard::request_provision(&world).await;
    let lost = claim(&world, &slow).await;
    let cx = context(&world, lost.claim.clone(), &lost);
    let held = claim(&world, &quick).await;
    assert_eq!(held.operation.id, lost.operation.id);
    assert!(held.claim.fence > lost.claim.fence);

    let entry = Entry::StepStart { ordinal: 0, name: "reserve", for_good: false };
    assert!(matches!(journal::write(&cx, &[entry]).await, Err(CatalogError::Fenced)));
    let cluster = world.catalog.cluster_by_name(&"eu-1".parse().unwrap()).await.unwrap().unwrap().cluster.id;
    let endpoint = cx.endpoint(cluster).await.unwrap();
    assert!(cx.change_cluster(&endpoint).await.is_err_and(|error| error.fenced()));
    assert_eq!(slow.work(lost).await, Ended::Lost);
    assert_eq!(quick.work(held).await, Ended::Finished(OperationState::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_hands_back_and_the_next_goes_on_at_once() {
    let world = World::new().await;
    let (tenant, operation) = standard::request_provision(&world).await;
    let leaving = executor(&world, 1);
    leaving.shutdown.cancel();
    let claimed = claim(&world, &leaving).await;
    assert_eq!(leaving.work(claimed).await, Ended::Parked(Duration::ZERO));
    let record = world.catalog.operation_get(operation).await.unwrap().unwrap();
    assert!(record.claimed_by.is_none() && record.error.is_none());
    assert_eq!(standard::drive(&world, vec![]).await, OperationState::Succeeded);
    assert_eq!(world.catalog.tenant_get(tenant).await.unwrap().unwrap().state, TenantState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_of_another_release_is_left_alone() {
    let world = World::new().await;
    let known = OperationKind::Provision.step_names();
    let renamed = known.iter().map(|name| name.replace("create-role", "make-role")).collect();
    let longer = known.iter().cloned().chain(["vanish".to_owned()]).collect();
    for (kind, steps) in
        [("teleport", vec!["vanish".to_owned()]), ("provision", renamed), ("provision", longer)]
    {
        let (tenant, operation) = left_by_another_release(&world, kind, steps).await;
        let executor = executor(&world, 1);
        let claimed = claim(&world, &executor).await;
        assert_eq!(claimed.operation.id, operation);
        assert_eq!(executor.work(claimed).await, Ended::Parked(UNKNOWN_KIND_PAUSE));
        let record = world.catalog.operation_get(operation).await.unwrap().unwrap();
        assert_eq!((record.state, record.claimed_by), (OperationState::Waiting, None));
        assert!(world.catalog.placement_get(tenant).await.unwrap().is_none());
    }
}

async fn left_by_another_release(world: &World, kind: &str, steps: Vec<String>) -> (TenantId, OperationId) {
    let mut tx = world.catalog.begin(&crate::testing::somebody()).await.unwrap();
    let tenant = tx.tenant_create(&standard::new_tenant()).await.unwrap().id;
    let new = catalog_schema::NewOperation {
        id: OperationId::generate(),
        kind: kind.to_owned(),
        tenant: Some(tenant),
        params: json!({}),
        steps,
        run_at: None,
    };
    tx.operation_enqueue(&new).await.unwrap();
    tx.commit().await.unwrap();
    (tenant, new.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_does_not_begin_once_somebody_asked_to_stop() {
    let world = World::new().await;
    let (_, operation) = standard::request_provision(&world).await;
    let executor = executor(&world, 1);
    let claimed = claim(&world, &executor).await;
    let cx = context(&world, claimed.claim.clone(), &claimed);
    let mut tx = world.catalog.begin(&crate::testing::somebody()).await.unwrap();
    tx.operation_cancel(operation).await.unwrap();
    tx.commit().await.unwrap();
    let start = |for_good| Entry::StepStart { ordinal: 8, name: "activate", for_good };
    assert_eq!(journal::write(&cx, &[start(true)]).await.unwrap(), Written::Cancelled);
    let steps = world.catalog.operation_steps(operation).await.unwrap();
    assert_eq!(steps[8].state, StepState::Pending);
    assert_eq!(journal::write(&cx, &[start(false)]).await.unwrap(), Written::All { begun: 1 });
}

/// Dies at one step, always.
struct Deadly;

impl Failpoints for Deadly {
    fn reached(&self, _: tenancy::OperationId, step: &str, moment: Moment) -> Action {
        if step == "create-role" && moment == Moment::BeforeRun { Action::Crash } else { Action::Continue }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_kills_every_worker_is_given_up_in_the_end() {
    let world = World::new().await;
    let (tenant, operation) = standard::request_provision(&world).await;
    let deadly: Arc<dyn Failpoints> = Arc::new(Deadly);
    let mut ended = Ended::Crashed;
    while ended == Ended::Crashed {
        let mut executor = standard::executor(&world, &deadly, 1);
        executor.lease = Duration::from_millis(1);
        let look = async || world.catalog.operation_claim(&executor.worker, executor.lease).await.unwrap();
        let claimed = eventually("an operation to claim", look).await;
        executor.lease = Duration::from_secs(60);
        ended = executor.work(claimed).await;
    }
    assert_eq!(ended, Ended::Finished(OperationState::Failed));
    let record = world.catalog.operation_get(operation).await.unwrap().unwrap();
    assert_eq!(record.error.unwrap()["step"], "create-role");
    assert_eq!(world.catalog.tenant_get(tenant).await.unwrap().unwrap().state, TenantState::Deleted);
}

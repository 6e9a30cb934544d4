//! The persistence under the operation engine.

use crate::fixture::{DEADLINE, Fixture, context, eventually, operation};
use catalog_schema::{
    CatalogError, Claim, ClaimedOperation, Constraint, Direction, OperationFilter, OperationState, Outcome,
    Page, StepOutcome, StepState,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tenancy::TenantId;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LEASE: Duration = Duration::from_secs(60);

async fn claim(fixture: &Fixture, worker: &str, lease: Duration) -> Option<ClaimedOperation> {
    fixture.catalog.operation_claim(worker, lease).await.unwrap()
}

async fn finish(fixture: &Fixture, claim: &Claim, outcome: &Outcome) -> Result<(), CatalogError> {
    let mut tx = fixture.catalog.begin_fenced(&context(), claim).await?;
    tx.operation_finish(outcome).await?;
    tx.commit().await
}

#[tokio::test]
async fn a_tenant_is_in_the_middle_of_one_operation_at_most() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let first = fixture.enqueue(Some(id)).await;
    let mut tx = fixture.tx().await;
    let second = tx.operation_enqueue(&operation(Some(id))).await.unwrap_err();
    assert_eq!(second, CatalogError::Conflict { constraint: Constraint::OperationUnfinished });
    drop(tx);
    assert_eq!(fixture.catalog.operation_unfinished(id).await.unwrap().unwrap().id, first);
    let claimed = claim(&fixture, "a", LEASE).await.unwrap();
    finish(&fixture, &claimed.claim, &Outcome::Succeeded).await.unwrap();
    assert_eq!(fixture.catalog.operation_unfinished(id).await.unwrap(), None);
    fixture.enqueue(Some(id)).await;
}

#[tokio::test]
async fn an_operation_goes_from_queue_to_end_on_record() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let id = fixture.enqueue(Some(tenant)).await;
    let claimed = claim(&fixture, "a", LEASE).await.unwrap();
    assert_eq!((claimed.operation.id, claimed.operation.state), (id, OperationState::Running));
    assert_eq!(
        claimed.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
        ["reserve", "create-database"]
    );
    assert!(claimed.steps.iter().all(|step| step.state == StepState::Pending));

    for (ordinal, name) in [(0, "reserve"), (1, "create-database"), (2, "added-by-a-newer-release")] {
        let mut tx = fixture.catalog.begin_fenced(&context(), &claimed.claim).await.unwrap();
        assert_eq!(tx.step_start(ordinal, name).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let mut tx = fixture.catalog.begin_fenced(&context(), &claimed.claim).await.unwrap();
        tx.step_finish(ordinal, &StepOutcome::Done { output: json!({ "n": ordinal }) }).await.unwrap();
        tx.operation_output(&json!({ name: ordinal })).await.unwrap();
        tx.commit().await.unwrap();
    }
    finish(&fixture, &claimed.claim, &Outcome::Succeeded).await.unwrap();

    let done = fixture.catalog.operation_get(id).await.unwrap().unwrap();
    assert_eq!((done.state, done.claimed_by.as_deref()), (OperationState::Succeeded, None));
    assert!(done.finished_at.is_some());
    assert_eq!(done.outputs, json!({ "reserve": 0, "create-database": 1, "added-by-a-newer-release": 2 }));
    let steps = fixture.catalog.operation_steps(id).await.unwrap();
    assert!(steps.iter().all(|step| step.state == StepState::Done && step.finished_at.is_some()));
    assert_eq!(steps[1].output, json!({ "n": 1 }));
    assert!(claim(&fixture, "a", LEASE).await.is_none());
    assert_eq!(finish(&fixture, &claimed.claim, &Outcome::Succeeded).await, Err(CatalogError::Fenced));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_get_each_operation_once() {
    let fixture = Fixture::new().await;
    let mut queued = BTreeSet::new();
    for _ in 0..30 {
        queued.insert(fixture.enqueue(None).await);
    }
    let mut workers = JoinSet::new();
    for worker in 0..6 {
        let catalog = fixture.catalog.clone();
        workers.spawn(async move {
            let mut got = Vec::new();
            while let Some(claimed) = catalog.operation_claim(&format!("w{worker}"), LEASE).await.unwrap() {
                got.push(claimed.operation.id);
            }
            got
        });
    }
    let got: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(got.len(), queued.len());
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), queued);
}

#[tokio::test]
async fn an_expired_lease_is_taken_over_and_the_old_worker_is_fenced() {
    let fixture = Fixture::new().await;
    let id = fixture.enqueue(None).await;
    let old = claim(&fixture, "slow", Duration::ZERO).await.unwrap();
    let mut taken = None;
    eventually("the lease ends", async || {
        taken = claim(&fixture, "next", LEASE).await;
        taken.is_some()
    })
    .await;
    let new = taken.unwrap();
    assert_eq!(new.operation.id, id);
    assert!(new.claim.fence > old.claim.fence);
    assert_eq!(new.operation.attempt, 2);

    assert_eq!(fixture.catalog.operation_renew(&old.claim, LEASE).await, Err(CatalogError::Fenced));
    assert_eq!(finish(&fixture, &old.claim, &Outcome::Succeeded).await, Err(CatalogError::Fenced));
    assert!(fixture.catalog.operation_renew(&new.claim, LEASE).await.is_ok());
    finish(&fixture, &new.claim, &Outcome::Succeeded).await.unwrap();
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_over() {
    let fixture = Fixture::new().await;
    fixture.enqueue(None).await;
    let held = claim(&fixture, "a", Duration::ZERO).await.unwrap();
    fixture.catalog.operation_renew(&held.claim, LEASE).await.unwrap();
    assert!(claim(&fixture, "b", LEASE).await.is_none());
}

#[tokio::test]
async fn nobody_takes_over_in_the_middle_of_a_write() {
    let fixture = Fixture::new().await;
    fixture.enqueue(None).await;
    let held = claim(&fixture, "a", Duration::ZERO).await.unwrap();
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    assert!(claim(&fixture, "b", LEASE).await.is_none(), "the row is locked");
    tx.step_start(0, "reserve").await.unwrap();
    tx.commit().await.unwrap();
    eventually("the claim is taken over", async || claim(&fixture, "b", LEASE).await.is_some()).await;
    let late = fixture.catalog.begin_fenced(&context(), &held.claim).await;
    assert_eq!(late.map(drop).unwrap_err(), CatalogError::Fenced);
}

#[tokio::test]
async fn a_failed_attempt_waits_its_turn_and_a_released_one_does_not() {
    let fixture = Fixture::new().await;
    let id = fixture.enqueue(None).await;
    let held = claim(&fixture, "a", LEASE).await.unwrap();
    let met = json!({ "message": "connection refused" });
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    tx.step_start(0, "reserve").await.unwrap();
    tx.step_finish(0, &StepOutcome::Retry { error: met.clone() }).await.unwrap();
    tx.operation_wait(LEASE, Some(&met)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(&fixture, "b", LEASE).await.is_none());
    let waiting = fixture.catalog.operation_get(id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.error), (OperationState::Waiting, Some(met)));

    fixture.raw().await.batch_execute("update catalog.operations set next_run_at = now()").await.unwrap();
    let held = claim(&fixture, "b", LEASE).await.unwrap();
    assert_eq!(held.steps[0].state, StepState::Running);
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    assert_eq!(tx.step_start(0, "reserve").await.unwrap(), 2);
    tx.operation_wait(Duration::ZERO, None).await.unwrap();
    tx.commit().await.unwrap();
    eventually("a released operation goes on", async || claim(&fixture, "c", LEASE).await.is_some()).await;
}

#[tokio::test]
async fn a_cancelled_operation_is_woken_undone_and_ended() {
    let fixture = Fixture::new().await;
    let id = fixture.enqueue(None).await;
    let held = claim(&fixture, "a", LEASE).await.unwrap();
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    tx.operation_wait(LEASE, None).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = fixture.tx().await;
    assert!(tx.operation_cancel(id).await.unwrap().cancel_requested);
    tx.commit().await.unwrap();

    let held = claim(&fixture, "b", LEASE).await.unwrap();
    assert!(held.operation.cancel_requested);
    assert!(fixture.catalog.operation_renew(&held.claim, LEASE).await.unwrap().cancel_requested);
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    tx.operation_undo(None).await.unwrap();
    tx.step_start(0, "reserve").await.unwrap();
    tx.step_finish(0, &StepOutcome::Undone).await.unwrap();
    tx.commit().await.unwrap();
    let undoing = fixture.catalog.operation_get(id).await.unwrap().unwrap();
    assert_eq!((undoing.state, undoing.direction), (OperationState::Cancelling, Direction::Undo));
    finish(&fixture, &held.claim, &Outcome::Cancelled).await.unwrap();

    let mut tx = fixture.tx().await;
    let too_late = tx.operation_cancel(id).await.unwrap();
    assert_eq!(too_late.state, OperationState::Cancelled);
}

#[tokio::test]
async fn what_went_wrong_stays_on_record() {
    let fixture = Fixture::new().await;
    let error = json!({ "message": "disk full" });
    for (outcome, state) in [
        (Outcome::Failed { error: error.clone() }, OperationState::Failed),
        (Outcome::UndoFailed { error: error.clone() }, OperationState::UndoFailed),
    ] {
        let id = fixture.enqueue(None).await;
        let held = claim(&fixture, "a", LEASE).await.unwrap();
        let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
        tx.step_start(1, "create-database").await.unwrap();
        tx.step_finish(1, &StepOutcome::Failed { error: error.clone() }).await.unwrap();
        tx.operation_finish(&outcome).await.unwrap();
        tx.commit().await.unwrap();
        let ended = fixture.catalog.operation_get(id).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.error.as_ref()), (state, Some(&error)));
        assert_eq!(fixture.catalog.operation_steps(id).await.unwrap()[1].state, StepState::Failed);
    }
}

#[tokio::test]
async fn news_of_operations_wakes_and_a_renewed_lease_does_not() {
    let fixture = Fixture::new().await;
    let mut wakeups = fixture.catalog.listen_operations().await.unwrap();
    fixture.enqueue(None).await;
    timeout(DEADLINE, wakeups.next()).await.unwrap().unwrap();
    let held = claim(&fixture, "a", LEASE).await.unwrap();
    timeout(DEADLINE, wakeups.next()).await.unwrap().unwrap();
    fixture.catalog.operation_renew(&held.claim, LEASE).await.unwrap();
    assert!(timeout(Duration::from_millis(200), wakeups.next()).await.is_err(), "a renewal is no news");
    let mut tx = fixture.catalog.begin_fenced(&context(), &held.claim).await.unwrap();
    tx.step_start(0, "reserve").await.unwrap();
    tx.commit().await.unwrap();
    timeout(DEADLINE, wakeups.next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn operations_are_listed_newest_first() {
    let fixture = Fixture::new().await;
    let tenant: TenantId = fixture.tenant("acme").await;
    let mut ids = Vec::new();
    for owner in [Some(tenant), None, None] {
        ids.insert(0, fixture.enqueue(owner).await);
    }
    let list = async |filter: OperationFilter, page: Page<_>| {
        let found = fixture.catalog.operations(&filter, &page).await.unwrap();
        found.iter().map(|operation| operation.id).collect::<Vec<_>>()
    };
    let all = OperationFilter::default();
    assert_eq!(list(all.clone(), Page::first(2)).await, ids[..2]);
    assert_eq!(list(all.clone(), Page::after(ids[1], 2)).await, ids[2..]);
    let of_tenant = OperationFilter { tenant: Some(tenant), ..all.clone() };
    assert_eq!(list(of_tenant, Page::first(9)).await, ids[2..]);
    let held = claim(&fixture, "a", LEASE).await.unwrap();
    finish(&fixture, &held.claim, &Outcome::Succeeded).await.unwrap();
    let unfinished = OperationFilter { unfinished: true, ..all.clone() };
    assert_eq!(list(unfinished, Page::first(9)).await, ids[..2]);
    let succeeded = OperationFilter { state: Some(OperationState::Succeeded), ..all };
    assert_eq!(list(succeeded, Page::first(9)).await, ids[2..]);
}

//! Requests that are sent twice.

use crate::fixture::{Fixture, context, slug, tenant};
use catalog_schema::{CatalogError, Constraint, Idempotency, Retention, StoredResponse};
use std::time::Duration;
use tokio::task::JoinSet;

const REQUEST: [u8; 32] = [1; 32];

#[tokio::test]
async fn the_second_request_gets_the_first_ones_answer() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.tx().await;
    assert!(matches!(tx.idempotency_begin("key", &REQUEST).await.unwrap(), Idempotency::Fresh));
    tx.idempotency_finish("key", &StoredResponse::new(201, "shown once".to_owned())).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = fixture.tx().await;
    let again = tx.idempotency_begin("key", &REQUEST).await.unwrap();
    let Idempotency::Replay(response) = again else { panic!("{again:?}") };
    assert_eq!((response.status, response.body.expose()), (201, "shown once"));
    let other = tx.idempotency_begin("key", &[2; 32]).await.unwrap();
    assert!(matches!(other, Idempotency::OtherRequest));
    let stranger = catalog_schema::Context { actor: "another".to_owned(), ..context() };
    let mut tx = fixture.catalog.begin(&stranger).await.unwrap();
    assert!(matches!(tx.idempotency_begin("key", &REQUEST).await.unwrap(), Idempotency::Fresh));
}

#[tokio::test]
async fn a_key_whose_work_failed_is_free_again() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.tx().await;
    tx.idempotency_begin("key", &REQUEST).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = fixture.tx().await;
    assert!(matches!(tx.idempotency_begin("key", &REQUEST).await.unwrap(), Idempotency::Fresh));
    let unknown = tx.idempotency_finish("other", &StoredResponse::new(200, String::new())).await;
    assert_eq!(unknown, Err(CatalogError::NotFound { what: "idempotency key" }));
}

#[tokio::test]
async fn a_key_that_was_taken_must_be_answered() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.tx().await;
    tx.idempotency_begin("key", &REQUEST).await.unwrap();
    let refused = CatalogError::Refused { constraint: Constraint::IdempotencyUnanswered };
    assert_eq!(tx.commit().await, Err(refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_does_the_work() {
    let fixture = Fixture::new().await;
    let mut requests = JoinSet::new();
    for _ in 0..6 {
        let catalog = fixture.catalog.clone();
        requests.spawn(async move {
            let mut tx = catalog.begin(&context()).await.unwrap();
            match tx.idempotency_begin("key", &REQUEST).await.unwrap() {
                Idempotency::Fresh => {
                    tx.tenant_create(&tenant("acme")).await.unwrap();
                    tx.idempotency_finish("key", &StoredResponse::new(202, "done".to_owned())).await.unwrap();
                    tx.commit().await.unwrap();
                    true
                }
                Idempotency::Replay(response) => {
                    assert_eq!(response.body.expose(), "done");
                    false
                }
                Idempotency::OtherRequest => panic!("it is the same request"),
            }
        });
    }
    let workers = requests.join_all().await.into_iter().filter(|worked| *worked).count();
    assert_eq!(workers, 1);
    assert!(fixture.catalog.tenant_by_slug(&slug("acme")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_request_that_is_still_being_worked_on_is_told_so() {
    let fixture = Fixture::new().await;
    let mut working = fixture.tx().await;
    working.idempotency_begin("key", &REQUEST).await.unwrap();
    let mut impatient = fixture.tx().await;
    let busy = impatient.idempotency_begin("key", &REQUEST).await.unwrap_err();
    assert_eq!(busy, CatalogError::Busy);
}

#[tokio::test]
async fn old_keys_are_forgotten() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.tx().await;
    tx.idempotency_begin("key", &REQUEST).await.unwrap();
    tx.idempotency_finish("key", &StoredResponse::new(200, String::new())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.catalog.prune(&Retention::default()).await.unwrap().idempotency_keys, 0);
    let now = Retention { idempotency_keys: Duration::ZERO, ..Retention::default() };
    assert_eq!(fixture.catalog.prune(&now).await.unwrap().idempotency_keys, 1);
}

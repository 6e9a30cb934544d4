//! When keys were used last, as gateways tell it.

use crate::fixture::{DEADLINE, Fixture, api_key};
use catalog_schema::KeyUse;
use jiff::Timestamp;
use tokio::time::timeout;

#[tokio::test]
async fn nobody_waits_for_a_key_that_somebody_else_has_to_do_with() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let (held, free) = (api_key(tenant, [1; 32]), api_key(tenant, [2; 32]));
    let mut tx = fixture.tx().await;
    tx.credential_create(&held).await.unwrap();
    tx.credential_create(&free).await.unwrap();
    tx.commit().await.unwrap();

    let raw = fixture.raw().await;
    raw.batch_execute("begin").await.unwrap();
    let lock = "select from catalog.credentials where id::text = $1 for update";
    raw.query(lock, &[&held.id.to_string()]).await.unwrap();
    let uses = [&held, &free].map(|key| KeyUse { key: key.id.as_uuid(), at: Timestamp::now() });
    timeout(DEADLINE, fixture.catalog.note_uses(&uses)).await.unwrap().unwrap();
    raw.batch_execute("rollback").await.unwrap();

    let used = async |id: String| -> bool {
        let sql = "select last_used_at is not null from catalog.credentials where id::text = $1";
        raw.query_one(sql, &[&id]).await.unwrap().get(0)
    };
    assert!(used(free.id.to_string()).await, "the other is noted");
    assert!(!used(held.id.to_string()).await);
    fixture.catalog.note_uses(&uses).await.unwrap();
    assert!(used(held.id.to_string()).await, "once it is free");
}

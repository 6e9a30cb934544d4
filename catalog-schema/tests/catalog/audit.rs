//! The audit chain.

use crate::fixture::{Fixture, api_key, context, operation, tenant};
use catalog_schema::{AuditFilter, CatalogError, Context, Page, TenantPatch};
use serde_json::json;
use std::collections::BTreeSet;
use tenancy::TenantState;
use tokio::task::JoinSet;

async fn actions(fixture: &Fixture) -> BTreeSet<String> {
    let rows = fixture.catalog.audit(&AuditFilter::default(), &Page::first(1_000)).await.unwrap();
    rows.into_iter().map(|row| row.action).collect()
}

#[tokio::test]
async fn every_change_is_on_record_with_who_and_why() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let who = Context { actor: "alice".to_owned(), request_id: "r-7".to_owned() };
    let mut tx = fixture.catalog.begin(&who).await.unwrap();
    let patch = TenantPatch { display_name: Some("x".to_owned()), ..TenantPatch::default() };
    tx.tenant_update(id, None, &patch).await.unwrap();
    let key = api_key(id, [1; 32]);
    tx.credential_create(&key).await.unwrap();
    tx.credential_revoke(id, key.id).await.unwrap();
    tx.operation_enqueue(&operation(Some(id))).await.unwrap();
    tx.audit("tenant.export", Some(id), "acme", json!({ "rows": 5 }));
    tx.commit().await.unwrap();
    let by_alice = AuditFilter { actor: Some("alice".to_owned()), ..AuditFilter::default() };
    let rows = fixture.catalog.audit(&by_alice, &Page::first(100)).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    let expected =
        ["tenant.update", "credential.create", "credential.revoke", "operation.enqueue", "tenant.export"];
    assert_eq!(seen, expected);
    assert!(rows.iter().all(|row| row.request_id == "r-7" && row.tenant == Some(id)));
    for action in ["region.create", "cluster.create", "tenant.create", "placement.create", "tenant.state"] {
        assert!(actions(&fixture).await.contains(action), "{action}");
    }
}

#[tokio::test]
async fn a_change_that_failed_leaves_no_record() {
    let fixture = Fixture::new().await;
    fixture.tenant("acme").await;
    let before = fixture.catalog.audit_verify().await.unwrap();
    let mut tx = fixture.tx().await;
    tx.region_create(&"moon".parse().unwrap(), "none").await.unwrap();
    assert!(tx.tenant_create(&tenant("acme")).await.is_err());
    assert!(tx.commit().await.is_err(), "a failed transaction does not pretend to be committed");
    assert_eq!(fixture.catalog.audit_verify().await.unwrap(), before);
    assert_eq!(fixture.catalog.region_get(&"moon".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_holds_however_many_write_at_once() {
    let fixture = Fixture::new().await;
    let before = fixture.catalog.audit_verify().await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let catalog = fixture.catalog.clone();
        writers.spawn(async move {
            for number in 0..10 {
                let mut tx = catalog.begin(&context()).await.unwrap();
                tx.tenant_create(&tenant(&format!("w{writer}-n{number}"))).await.unwrap();
                tx.audit("note", None, "ä \" \\ \u{1f600}", json!({ "n": number, "f": 1.5, "x": null }));
                tx.commit().await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let after = fixture.catalog.audit_verify().await.unwrap();
    assert_eq!(after.seq, before.seq + 160);
    assert_ne!(after.hash, before.hash);
}

#[tokio::test]
async fn rows_can_only_be_added() {
    let fixture = Fixture::new().await;
    let raw = fixture.raw().await;
    for edit in
        ["update catalog.audit set actor = 'nobody'", "delete from catalog.audit", "truncate catalog.audit"]
    {
        let refused = raw.batch_execute(edit).await.unwrap_err();
        assert_eq!(refused.as_db_error().unwrap().constraint(), Some("audit_append_only"), "{edit}");
    }
}

#[tokio::test]
async fn whoever_gets_round_that_is_found_out() {
    for (edit, broken_at) in [
        ("update catalog.audit set actor = 'nobody' where seq = 2", 2),
        ("update catalog.audit set detail = detail || '{\"x\": 1}' where seq = 3", 3),
        ("update catalog.audit set at = at + interval '1 microsecond' where seq = 4", 4),
        ("delete from catalog.audit where seq = 2", 3),
        ("update catalog.audit set hash = prev_hash where seq = 1", 1),
        ("update catalog.audit set seq = 99 where seq = 4", 99),
    ] {
        let fixture = Fixture::new().await;
        assert!(fixture.catalog.audit_verify().await.unwrap().seq >= 4);
        let raw = fixture.raw().await;
        let edit_unhindered = format!(
            "alter table catalog.audit disable trigger user; {edit}; alter table catalog.audit enable trigger user"
        );
        raw.batch_execute(&edit_unhindered).await.unwrap();
        let found = fixture.catalog.audit_verify().await.unwrap_err();
        assert!(
            matches!(found, CatalogError::AuditBroken { seq, .. } if seq == broken_at),
            "{edit}: {found}"
        );
    }
}

#[tokio::test]
async fn a_tenants_record_is_read_in_pages() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let mut tx = fixture.tx().await;
    tx.tenant_set_state(id, TenantState::Suspended).await.unwrap();
    tx.commit().await.unwrap();
    let filter = AuditFilter { tenant: Some(id), ..AuditFilter::default() };
    let all = fixture.catalog.audit(&filter, &Page::first(100)).await.unwrap();
    let mut paged = Vec::new();
    let mut page = Page::first(2);
    loop {
        let rows = fixture.catalog.audit(&filter, &page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page = Page::after(last.seq, 2);
        paged.extend(rows);
    }
    assert_eq!(paged, all);
    let action = AuditFilter { action: Some("tenant.state".to_owned()), ..filter };
    assert_eq!(fixture.catalog.audit(&action, &Page::first(9)).await.unwrap().len(), 2);
}

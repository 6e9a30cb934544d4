//! What is left undone when the control plane goes is done when it comes back.

use crate::fixture::{Plane, eventually, servers};
use control_plane::failpoint::{Action, Failpoints, Moment, NoFailpoints};
use serde_json::json;
use std::sync::Arc;
use tenancy::OperationId;

/// Dies at every step of one name, for as long as it is used.
struct DiesAt(&'static str);

impl Failpoints for DiesAt {
    fn reached(&self, _: OperationId, step: &str, moment: Moment) -> Action {
        if step == self.0 && moment == Moment::AfterRun { Action::Crash } else { Action::Continue }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provision_and_a_purge_are_finished_by_the_next_control_plane() {
    let mut plane = Plane::start_failing(Arc::new(DiesAt("create-database"))).await;
    let created =
        plane.expect(202, plane.post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }))).await;
    plane.stop().await;
    plane.run(Arc::new(DiesAt("drop-database"))).await;
    plane.finished(&created["operation"]["id"], "succeeded").await;

    let deleting = plane.expect(202, plane.delete("/v1/tenants/acme")).await;
    plane.stop().await;
    plane.run(Arc::new(NoFailpoints)).await;
    plane.finished(&deleting["operation"]["id"], "succeeded").await;
    let id = created["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let admin = servers().await.catalog.connect("postgres").await.unwrap();
    for name in plane.catalog.physical_names(id).await.unwrap() {
        assert!(name.dropped_at.is_some());
        let sql = "select count(*) from pg_database where datname = $1";
        assert_eq!(admin.query_one(sql, &[&name.name]).await.unwrap().get::<_, i64>(0), 0);
    }
    plane.catalog.audit_verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_catalog_it_starts_says_so_and_recovers_by_itself() {
    let mut plane = Plane::start().await;
    plane.stop().await;
    let (dsn, name) = (plane.catalog_dsn.clone(), plane.catalog_name());
    let admin = servers().await.catalog.connect("postgres").await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    admin.query(end, &[&name]).await.unwrap();
    eventually("the catalog to be out of reach", async || {
        admin.batch_execute(&format!("alter database {name} rename to {name}_away")).await.ok()
    })
    .await;

    plane.run(Arc::new(NoFailpoints)).await;
    plane.expect(200, plane.anonymous("/healthz")).await;
    for path in ["/readyz", "/v1/tenants"] {
        let answer = plane.send(plane.get(path)).await;
        assert_eq!((answer.status, answer.problem()), (503, "catalog-unavailable"), "{path}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.body.to_string().contains(dsn.expose()));
    }
    admin.batch_execute(&format!("alter database {name}_away rename to {name}")).await.unwrap();
    eventually("the catalog to be found again", async || {
        (plane.send(plane.get("/readyz")).await.status == 200).then_some(())
    })
    .await;
    plane.tenant("acme").await;
}

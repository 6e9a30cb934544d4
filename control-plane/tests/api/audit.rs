//! Every endpoint that changes something leaves an audit row, and the chain of them holds.

use crate::fixture::{Plane, servers};
use catalog_schema::{AuditFilter, Page};
use control_plane::failpoint::{Action, Failpoints, Moment};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenancy::OperationId;

/// Once told to, keeps provisions from ending, so that there is one to cancel.
#[derive(Default)]
struct StuckProvisions(AtomicBool);

impl Failpoints for StuckProvisions {
    fn reached(&self, _: OperationId, step: &str, _: Moment) -> Action {
        if step == "write-marker" && self.0.load(Ordering::SeqCst) { Action::Crash } else { Action::Continue }
    }
}

/// Every mutating operation of the document, as method and path.
fn mutating() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&control_plane::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    found
}

/// A request that succeeds, for each. Whoever adds an endpoint adds one here.
async fn example(plane: &Plane, method: &str, path: &str) -> RequestBuilder {
    let post = |path: &str, body: Value| plane.post(path, body);
    match (method, path) {
        ("POST", "/v1/regions") => post(path, json!({ "name": "us" })),
        ("POST", "/v1/clusters") => {
            let dsn = servers().await.other.dsn("postgres");
            post(
                path,
                json!({ "name": "eu-2", "region": "eu", "tls_mode": "disable", "admin_dsn": dsn.expose() }),
            )
        }
        ("PATCH", "/v1/clusters/{cluster}") => plane.patch("/v1/clusters/eu-1", json!({ "capacity": 77 })),
        ("POST", "/v1/plans") => post(path, json!({ "name": "bought", "floor": 2 })),
        ("PATCH", "/v1/plans/{plan}") => plane.patch("/v1/plans/free", json!({ "weight": 50 })),
        ("POST", "/v1/tenants") => post(path, json!({ "slug": "new", "region": "eu" })),
        ("PATCH", "/v1/tenants/{tenant}") => plane.patch("/v1/tenants/patched", json!({ "plan": "free" })),
        ("PATCH", "/v1/tenants/{tenant}/limits") => {
            plane.patch("/v1/tenants/patched/limits", json!({ "queue_limit": 7 }))
        }
        ("DELETE", "/v1/tenants/{tenant}") => plane.delete("/v1/tenants/deleted"),
        ("POST", "/v1/tenants/{tenant}/suspend") => {
            plane.request(Method::POST, "/v1/tenants/suspended/suspend")
        }
        ("POST", "/v1/tenants/{tenant}/resume") => {
            let suspend = plane.request(Method::POST, "/v1/tenants/resumed/suspend");
            let suspended = plane.expect(202, suspend).await;
            plane.finished(&suspended["operation"]["id"], "succeeded").await;
            plane.request(Method::POST, "/v1/tenants/resumed/resume")
        }
        ("POST", "/v1/tenants/{tenant}/credentials") => {
            post("/v1/tenants/patched/credentials", json!({ "kind": "api-key" }))
        }
        ("DELETE", "/v1/tenants/{tenant}/credentials/{credential}") => {
            let listed = plane.expect(200, plane.get("/v1/tenants/patched/credentials")).await;
            let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
            plane.delete(&format!("/v1/tenants/patched/credentials/{id}"))
        }
        ("POST", "/v1/operations/{operation}/cancel") => {
            let created =
                plane.expect(202, post("/v1/tenants", json!({ "slug": "cancelled", "region": "eu" }))).await;
            let id = created["operation"]["id"].as_str().unwrap().to_owned();
            plane.request(Method::POST, &format!("/v1/operations/{id}/cancel"))
        }
        _ => panic!("{method} {path} has no example here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_an_audit_row() {
    let stuck = Arc::new(StuckProvisions::default());
    let plane = Plane::start_failing(stuck.clone()).await;
    for slug in ["patched", "deleted", "suspended", "resumed"] {
        plane.tenant(slug).await;
    }
    stuck.0.store(true, Ordering::SeqCst);
    for (number, (method, path)) in mutating().into_iter().enumerate() {
        let request_id = format!("walk-{number}");
        let request = example(&plane, &method, &path).await.header("x-request-id", &request_id);
        let answer = plane.send(request).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        assert_eq!(answer.headers["x-request-id"], request_id.as_str());
        let filter = AuditFilter { actor: Some("operator".to_owned()), ..AuditFilter::default() };
        let rows = plane.catalog.audit(&filter, &Page::first(1_000)).await.unwrap();
        assert!(rows.iter().any(|row| row.request_id == request_id), "{method} {path} left no audit row");
    }
    plane.catalog.audit_verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_leaves_none() {
    let plane = Plane::start().await;
    let before = plane.catalog.audit_verify().await.unwrap();
    let body = json!({ "slug": "acme", "region": "eu", "plan": "no-such-plan" });
    assert_eq!(plane.refused(plane.post("/v1/tenants", body)).await, "plan-unknown");
    assert_eq!(plane.catalog.audit_verify().await.unwrap(), before);
}

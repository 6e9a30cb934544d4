//! Operations through the API: watched, cancelled, refused to be cancelled.

use crate::fixture::{Plane, eventually};
use crate::people::Person;
use control_plane::failpoint::{Action, Failpoints, Moment};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenancy::OperationId;

/// Keeps one step failing until it is let go.
struct Stuck {
    step: &'static str,
    moment: Moment,
    action: Action,
    until: Arc<AtomicBool>,
}

impl Failpoints for Stuck {
    fn reached(&self, _: OperationId, step: &str, moment: Moment) -> Action {
        let here = step == self.step && moment == self.moment && !self.until.load(Ordering::SeqCst);
        if here { self.action } else { Action::Continue }
    }
}

async fn stuck(step: &'static str, moment: Moment, action: Action) -> (Plane, Arc<AtomicBool>) {
    let until = Arc::new(AtomicBool::new(false));
    let plane =
        Plane::start_failing(Arc::new(Stuck { step, moment, action, until: Arc::clone(&until) })).await;
    (plane, until)
}

fn cancel(plane: &Plane, id: &Value) -> reqwest::RequestBuilder {
    plane.request(Method::POST, &format!("/v1/operations/{}/cancel", id.as_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_every_change_and_ends_with_the_operation() {
    let plane = Plane::start().await;
    let created =
        plane.expect(202, plane.post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }))).await;
    let id = created["operation"]["id"].as_str().unwrap();
    let answer = plane.send(plane.get(&format!("/v1/operations/{id}/events"))).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = answer.body.as_str().unwrap().to_owned();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["state"], "succeeded", "the stream ends with the end");
    assert!(last["steps"].as_array().unwrap().iter().all(|step| step["state"] == "done"));
    assert_eq!(plane.refused(cancel(&plane, &created["operation"]["id"])).await, "operation-finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_provision_leaves_nothing() {
    // A step that the worker dies at stays where it is until the claim runs out: time to cancel.
    let (plane, until) = stuck("write-marker", Moment::BeforeRun, Action::Crash).await;
    let created =
        plane.expect(202, plane.post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }))).await;
    let id = &created["operation"]["id"];
    let second = plane.request(Method::POST, "/v1/tenants/acme/suspend");
    let answer = plane.send(second).await;
    assert_eq!((answer.problem(), &answer.body["operation_id"]), ("operation-in-progress", id));
    let asked = plane.expect(202, cancel(&plane, id)).await;
    assert_eq!(asked["cancel_requested"], true);
    until.store(true, Ordering::SeqCst);
    plane.finished(id, "cancelled").await;
    assert_eq!(plane.refused(plane.get("/v1/tenants/acme")).await, "tenant-not-found");
    plane.tenant("acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_cannot_be_cancelled_and_is_tried_until_it_is_done() {
    let (plane, until) = stuck("drop-database", Moment::BeforeRun, Action::Fail).await;
    plane.tenant("acme").await;
    let deleting = plane.expect(202, plane.delete("/v1/tenants/acme")).await;
    let id = &deleting["operation"]["id"];
    assert_eq!(plane.refused(cancel(&plane, id)).await, "operation-not-cancellable");
    assert_eq!(plane.refused(plane.delete("/v1/tenants/acme")).await, "operation-in-progress");
    let path = format!("/v1/operations/{}", id.as_str().unwrap());
    let waiting = eventually("a second attempt", async || {
        let operation = plane.expect(200, plane.get(&path)).await;
        (operation["steps"][2]["attempt"].as_u64().unwrap() >= 2).then_some(operation)
    });
    assert_eq!(waiting.await["error"]["code"], "failpoint");
    until.store(true, Ordering::SeqCst);
    let done = plane.finished(id, "succeeded").await;
    assert!(done["error"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_provision_says_why_and_frees_the_slug() {
    let (plane, until) = stuck("create-database", Moment::AfterRun, Action::Fail).await;
    let created =
        plane.expect(202, plane.post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }))).await;
    let failed = plane.finished(&created["operation"]["id"], "failed").await;
    assert_eq!(failed["error"]["step"], "create-database");
    assert_eq!(failed["direction"], "undo");
    until.store(true, Ordering::SeqCst);
    plane.tenant("acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_listed_newest_first_and_by_tenant() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let other = plane.tenant("other").await;
    let all = plane.expect(200, plane.get("/v1/operations?kind=provision&state=succeeded")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(all["items"][0]["id"], other["operation"]["id"]);
    let one = plane.expect(200, plane.get("/v1/operations?tenant=acme")).await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
}

/// An operation on a tenant that goes on failing, and one of the tenant's viewers.
async fn watched() -> (Plane, Arc<AtomicBool>, Value, Person) {
    let (plane, until) = stuck("forbid-login", Moment::BeforeRun, Action::Fail).await;
    plane.tenant("acme").await;
    let viewer = plane.member("viewer", "acme", "viewer").await;
    let suspending = plane.expect(202, plane.request(Method::POST, "/v1/tenants/acme/suspend")).await;
    let path = format!("/v1/operations/{}", suspending["operation"]["id"].as_str().unwrap());
    eventually("an attempt that failed", async || {
        plane.expect(200, plane.get(&path)).await["error"]["message"].is_string().then_some(())
    })
    .await;
    (plane, until, suspending["operation"]["id"].clone(), viewer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_steps_report_of_the_fleet_is_for_the_operator() {
    let (plane, until, id, viewer) = watched().await;
    let path = format!("/v1/operations/{}", id.as_str().unwrap());
    let seen = plane.expect(200, viewer.asks(&plane, Method::GET, &path)).await;
    let listed = plane.expect(200, viewer.asks(&plane, Method::GET, "/v1/operations")).await;
    let listed = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap().clone();
    for error in [&seen["error"], &listed["error"]] {
        assert_eq!((&error["code"], &error["message"]), (&json!("failpoint"), &Value::Null), "{error}");
    }
    until.store(true, Ordering::SeqCst);
    plane.finished(&id, "succeeded").await;
    let stream = plane.send(viewer.asks(&plane, Method::GET, &format!("{path}/events"))).await;
    let all = plane.expect(200, plane.get("/v1/operations")).await;
    for operation in all["items"].as_array().unwrap() {
        let path = format!("/v1/operations/{}", operation["id"].as_str().unwrap());
        let whole = plane.expect(200, plane.get(&path)).await;
        assert!(whole["steps"].as_array().unwrap().iter().any(|step| !step["output"].is_null()));
        let seen = plane.expect(200, viewer.asks(&plane, Method::GET, &path)).await;
        assert!(seen["steps"].as_array().unwrap().iter().all(|step| step["output"].is_null()), "{seen}");
    }
    for event in stream.body.as_str().unwrap().lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(event).unwrap();
        assert!(event["steps"].as_array().unwrap().iter().all(|step| step["output"].is_null()), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_right_to_see_it() {
    let (plane, until, id, viewer) = watched().await;
    let events = viewer.asks(&plane, Method::GET, &format!("/v1/operations/{}/events", id.as_str().unwrap()));
    let mut stream = events.send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some(), "it shows something while the right lasts");
    plane.expect(200, plane.delete(&format!("/v1/tenants/acme/members/{}", viewer.id))).await;
    while stream.chunk().await.unwrap().is_some() {}
    let operation = plane.expect(200, plane.get(&format!("/v1/operations/{}", id.as_str().unwrap()))).await;
    assert!(operation["finished_at"].is_null(), "the stream ended before the operation");
    until.store(true, Ordering::SeqCst);
    plane.finished(&id, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_viewer_does_not_take_every_stream() {
    let (plane, until, id, viewer) = watched().await;
    let path = format!("/v1/operations/{}/events", id.as_str().unwrap());
    let mut open = Vec::new();
    let refused = loop {
        let answer = viewer.asks(&plane, Method::GET, &path).send().await.unwrap();
        if answer.status() != 200 {
            break answer;
        }
        open.push(answer);
    };
    assert_eq!((refused.status().as_u16(), open.len()), (503, 4));
    assert_eq!(plane.get(&path).send().await.unwrap().status(), 200, "others have theirs");
    until.store(true, Ordering::SeqCst);
    plane.finished(&id, "succeeded").await;
}

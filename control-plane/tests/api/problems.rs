//! Each way to get it wrong has its own answer.

use crate::fixture::Plane;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nothing_is_told() {
    let plane = Plane::start().await;
    let answer = plane.send(plane.anonymous("/v1/tenants")).await;
    assert_eq!((answer.status, answer.problem()), (401, "unauthorized"));
    assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    let wrong = plane.anonymous("/v1/tenants").bearer_auth("another token");
    assert_eq!(plane.refused(wrong).await, "unauthorized");
    for open in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        plane.expect(200, plane.anonymous(open)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_tenant_is_refused_for_its_own_reason() {
    let plane = Plane::start().await;
    plane.expect(201, plane.post("/v1/regions", json!({ "name": "us" }))).await;
    plane.tenant("taken").await;
    for (expected, body) in [
        ("slug-invalid", json!({ "slug": "Acme", "region": "eu" })),
        ("slug-invalid", json!({ "slug": "admin", "region": "eu" })),
        ("slug-taken", json!({ "slug": "taken", "region": "eu" })),
        ("region-unknown", json!({ "slug": "acme", "region": "mars" })),
        ("region-unknown", json!({ "slug": "acme", "region": "eu", "allowed_regions": ["eu", "mars"] })),
        ("region-not-allowed", json!({ "slug": "acme", "region": "eu", "allowed_regions": ["us"] })),
        ("no-capacity", json!({ "slug": "acme", "region": "us" })),
        ("plan-unknown", json!({ "slug": "acme", "region": "eu", "plan": "gold" })),
        ("isolation-not-available", json!({ "slug": "acme", "region": "eu", "isolation": "row" })),
        ("unknown-field", json!({ "slug": "acme", "region": "eu", "colour": "red" })),
        ("invalid-field", json!({ "slug": "acme" })),
        ("invalid-field", json!({ "slug": "acme", "region": 7 })),
        ("invalid-field", json!({ "slug": "acme", "region": "eu", "allowed_regions": [] })),
        ("invalid-field", json!({ "slug": "acme", "region": "eu", "display_name": "" })),
    ] {
        let dry_run = plane.post("/v1/tenants?dry_run=true", body.clone());
        assert_eq!(plane.refused(dry_run).await, expected, "{body}");
        assert_eq!(plane.refused(plane.post("/v1/tenants", body.clone())).await, expected, "{body}");
    }
    let listed = plane.expect(200, plane.get("/v1/tenants")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "a refused tenant leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_cluster_says_so() {
    let plane = Plane::start().await;
    plane.expect(200, plane.patch("/v1/clusters/eu-1", json!({ "capacity": 1 }))).await;
    plane.tenant("first").await;
    let answer = plane.send(plane.post("/v1/tenants", json!({ "slug": "second", "region": "eu" }))).await;
    assert_eq!((answer.status, answer.problem()), (409, "no-capacity"));
    assert!(answer.body["detail"].as_str().unwrap().contains("eu-1 is full"), "{answer:?}");
    plane.expect(200, plane.patch("/v1/clusters/eu-1", json!({ "capacity": 2, "state": "draining" }))).await;
    let answer = plane.send(plane.post("/v1/tenants", json!({ "slug": "second", "region": "eu" }))).await;
    assert!(answer.body["detail"].as_str().unwrap().contains("eu-1 is draining"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_told_apart() {
    let plane = Plane::start().await;
    let raw = |body: &'static str| {
        plane.request(Method::POST, "/v1/tenants").header(CONTENT_TYPE, "application/json").body(body)
    };
    assert_eq!(plane.refused(raw("{")).await, "malformed-body");
    assert_eq!(plane.refused(raw("[]")).await, "invalid-field");
    let untyped = plane.request(Method::POST, "/v1/tenants").body("{}");
    assert_eq!(plane.refused(untyped).await, "unsupported-media-type");
    assert_eq!(plane.refused(plane.get("/v1/tenants?limit=0")).await, "invalid-query");
    assert_eq!(plane.refused(plane.get("/v1/tenants?limit=x")).await, "invalid-query");
    assert_eq!(plane.refused(plane.get("/v1/tenants?colour=red")).await, "invalid-query");
    assert_eq!(plane.refused(plane.get("/v1/tenants?state=sleepy")).await, "invalid-query");
    assert_eq!(plane.refused(plane.get("/v1/operations?kind=teleport")).await, "invalid-query");
    plane.expect(200, plane.get("/v1/operations?kind=purge")).await;
    let region = plane.post("/v1/regions", json!({ "name": "us", "jurisdiction": "U\u{0}S" }));
    assert_eq!(plane.refused(region).await, "invalid-field");
    assert_eq!(plane.refused(plane.get("/v1/tenants?cursor=zzz")).await, "invalid-cursor");
    assert_eq!(plane.refused(plane.get("/v1/nothing")).await, "not-found");
    assert_eq!(plane.refused(plane.request(Method::PUT, "/v1/tenants")).await, "method-not-allowed");
    for (path, expected) in [
        ("/v1/tenants/nobody", "tenant-not-found"),
        ("/v1/tenants/Not A Slug", "tenant-not-found"),
        ("/v1/tenants/%ff", "not-found"),
        ("/v1/clusters/none", "cluster-not-found"),
        ("/v1/regions/none", "region-not-found"),
        ("/v1/operations/none", "operation-not-found"),
        ("/v1/operations/00000000-0000-0000-0000-000000000000", "operation-not-found"),
    ] {
        assert_eq!(plane.refused(plane.get(path)).await, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_are_refused_whole() {
    let plane = Plane::start().await;
    let body = json!({ "slug": "acme", "region": "eu", "display_name": "x".repeat(2 * 1024 * 1024) });
    assert_eq!(plane.refused(plane.post("/v1/tenants", body)).await, "body-too-large");
    let chunk = || Ok::<_, std::io::Error>(" ".repeat(256 * 1024));
    let chunks = futures_util::stream::iter((0..8).map(move |_| chunk()));
    let streamed = plane
        .request(Method::POST, "/v1/tenants")
        .header(CONTENT_TYPE, "application/json")
        .body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(plane.refused(streamed).await, "body-too-large");
    let headers = plane.get("/v1/tenants").header("x-padding", "x".repeat(17 * 1024));
    assert_eq!(plane.refused(headers).await, "headers-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_top_of_an_older_version_is_refused() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let answer = plane.send(plane.get("/v1/tenants/acme")).await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    let change =
        |name: &str| plane.patch("/v1/tenants/acme", json!({ "display_name": name })).header(IF_MATCH, &tag);
    let changed = plane.send(change("First")).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], tag.as_str());
    let stale = plane.send(change("Second")).await;
    assert_eq!((stale.status, stale.problem()), (412, "stale-version"));
    let delete = plane.delete("/v1/tenants/acme").header(IF_MATCH, &tag);
    assert_eq!(plane.refused(delete).await, "stale-version");
    let nonsense = plane.patch("/v1/tenants/acme", json!({})).header(IF_MATCH, "3");
    assert_eq!(plane.refused(nonsense).await, "invalid-header");
    assert_eq!(plane.shown("acme").await["display_name"], "First");
}

//! Credentials through the API.

use crate::fixture::Plane;
use catalog_schema::{AuditFilter, Page};
use serde_json::json;
use tenancy::PoolMode;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_revoked_for_good() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let path = "/v1/tenants/acme/credentials";
    let body = json!({ "kind": "password", "user_name": "reports", "expires_at": "2999-01-01T00:00:00Z" });
    let password = plane.expect(201, plane.post(path, body)).await;
    assert!(password["connection_string"].as_str().unwrap().starts_with("postgres://reports:"));
    let key = plane.expect(201, plane.post(path, json!({ "kind": "api-key" }))).await;
    let listed = plane.expect(200, plane.get(path)).await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 4, "the first two and these");
    let text = listed.to_string();
    assert!(!text.contains(key["api_key"].as_str().unwrap()) && !text.contains("SCRAM"), "{text}");

    let revoke = format!("{path}/{}", key["credential"]["id"].as_str().unwrap());
    let revoked = plane.expect(200, plane.delete(&revoke)).await;
    let again = plane.expect(200, plane.delete(&revoke)).await;
    assert!(revoked["revoked_at"].is_string());
    assert_eq!(revoked, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_may_say_how_its_clients_are_pooled_and_gateways_hear_of_it() {
    let plane = Plane::start().await;
    let id = plane.tenant("acme").await["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let body = json!({ "kind": "password", "user_name": "jobs", "pool_mode": "session" });
    let made = plane.expect(201, plane.post("/v1/tenants/acme/credentials", body)).await;
    assert_eq!(made["credential"]["pool_mode"], "session");
    let listed = plane.expect(200, plane.get("/v1/tenants/acme/credentials")).await;
    let modes: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|item| item["pool_mode"].as_str()).collect();
    assert_eq!(modes, [None, None, Some("session")]);
    let route = plane.catalog.route_by_id(id).await.unwrap().unwrap();
    let modes: Vec<_> = route.credentials.iter().map(|credential| credential.pool_mode).collect();
    assert_eq!(modes, [None, None, Some(PoolMode::Session)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_credential_is_refused_for_its_own_reason() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let path = "/v1/tenants/acme/credentials";
    for (expected, body) in [
        ("invalid-field", json!({ "kind": "api-key", "scope": "everything" })),
        ("invalid-field", json!({ "kind": "password", "scope": "data" })),
        ("invalid-field", json!({ "kind": "api-key", "role": "king" })),
        ("invalid-field", json!({ "kind": "certificate" })),
        ("invalid-field", json!({ "kind": "api-key", "user_name": "app" })),
        ("invalid-field", json!({ "kind": "password", "user_name": "a.b" })),
        ("invalid-field", json!({ "kind": "password", "pool_mode": "statement" })),
        ("invalid-field", json!({ "kind": "api-key", "pool_mode": "session" })),
        ("invalid-field", json!({ "kind": "password", "expires_at": "2001-01-01T00:00:00Z" })),
        ("unknown-field", json!({ "kind": "password", "password": "my own" })),
    ] {
        assert_eq!(plane.refused(plane.post(path, body.clone())).await, expected, "{body}");
    }
    let nobody = plane.post("/v1/tenants/nobody/credentials", json!({ "kind": "api-key" }));
    assert_eq!(plane.refused(nobody).await, "tenant-not-found");
    assert_eq!(plane.refused(plane.delete(&format!("{path}/none"))).await, "credential-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_makes_one_like_the_old_and_no_third() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let path = "/v1/tenants/acme/credentials";
    let body = json!({ "kind": "api-key", "role": "viewer", "scope": "read-only", "expires_at": "2999-01-01T00:00:00Z" });
    let old = plane.expect(201, plane.post(path, body)).await;
    let rotate =
        |made: &serde_json::Value| format!("{path}/{}/rotate", made["credential"]["id"].as_str().unwrap());
    let new = plane.expect(201, plane.post(&rotate(&old), json!({ "keep_old_s": 60 }))).await;
    for field in ["kind", "role", "scope"] {
        assert_eq!(new["credential"][field], old["credential"][field], "{field}");
    }
    assert_eq!(new["credential"]["replaces"], old["credential"]["id"]);
    assert!(new["credential"]["expires_at"].is_string(), "it lasts as long as the old one was made for");
    assert!(new["replaced"]["expires_at"].as_str() < old["credential"]["expires_at"].as_str());
    assert_ne!(new["api_key"], old["api_key"]);
    let noted = AuditFilter { action: Some("credential.replace".to_owned()), ..AuditFilter::default() };
    let noted = plane.catalog.audit(&noted, &Page::first(10)).await.unwrap();
    assert_eq!(noted[0].detail["credential"], old["credential"]["id"]);
    assert_eq!(noted[0].detail["expires_at"], new["replaced"]["expires_at"]);
    for again in [&old, &new] {
        assert_eq!(plane.refused(plane.post(&rotate(again), json!({}))).await, "credential-rotating");
    }
    assert_eq!(
        plane.refused(plane.post(&rotate(&new), json!({ "keep_old_s": 2_592_001 }))).await,
        "invalid-field"
    );
    // Its successor has come to its own end before: somebody else may take its place.
    let (end, id) =
        ("update catalog.credentials set expires_at = now()", new["credential"]["id"].as_str().unwrap());
    plane.sql(&format!("{end} where id = '{id}'")).await;
    let another = plane.expect(201, plane.post(&rotate(&old), json!({ "keep_old_s": 60 }))).await;
    assert_eq!(another["credential"]["replaces"], old["credential"]["id"]);
    let nobody = format!("{path}/01920000-0000-7000-8000-000000000000/rotate");
    assert_eq!(plane.refused(plane.post(&nobody, json!({}))).await, "credential-not-found");
}

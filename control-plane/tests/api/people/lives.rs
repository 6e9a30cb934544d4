//! Users' and tenants' ends, and what is kept of secrets.

use super::{PASSWORD, sign_in, try_sign_in};
use crate::fixture::Plane;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_leaves_nothing_of_its_people() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane.tenant("other").await;
    plane
        .expect(
            201,
            plane.post("/v1/tenants/acme/roles", json!({ "name": "support", "permissions": ["data.read"] })),
        )
        .await;
    let ann = plane.member("ann", "acme", "owner").await;
    plane.join(&ann, "other", "owner").await;
    plane.member("eve", "acme", "support").await;
    let invite = json!({ "email": "new@example.com", "role": "support" });
    plane.expect(201, plane.post("/v1/tenants/acme/invites", invite)).await;
    ann.switch(&plane, "acme").await;
    let deleted = plane.expect(202, plane.delete("/v1/tenants/acme")).await;
    plane.finished(&deleted["operation"]["id"], "succeeded").await;
    for table in ["memberships", "invites", "custom_roles", "session_tenants", "token_revocations"] {
        let left = format!(
            "select 1 from catalog.{table} x join catalog.tenants t on t.id = x.tenant_id where t.slug = 'acme'"
        );
        assert_eq!(plane.sql(&left).await, 0, "{table}");
    }
    let mine = plane.expect(200, ann.asks(&plane, Method::GET, "/v1/session/tenants")).await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
    assert_eq!(mine["items"][0]["tenant"]["slug"], "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_changed_disabled_and_deleted() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "member").await;
    let path = format!("/v1/users/{}", ann.email);
    let identity = json!({ "issuer": "https://login.example.com/", "subject": "1234" });
    let shown = plane.expect(200, plane.post(&format!("{path}/identities"), identity.clone())).await;
    assert_eq!(shown["identities"], json!([identity]));
    let bob = plane.person("bob").await;
    let taken = plane.post(&format!("/v1/users/{}/identities", bob.id), identity);
    assert_eq!(plane.refused(taken).await, "identity-taken");
    let remove = format!("{path}/identities?issuer=https%3A%2F%2Flogin.example.com%2F&subject=1234");
    assert_eq!(plane.expect(200, plane.delete(&remove)).await["identities"], json!([]));

    assert_eq!(plane.refused(plane.patch(&path, json!({ "email": bob.email }))).await, "user-exists");
    plane.expect(200, plane.patch(&path, json!({ "disabled": true }))).await;
    assert_eq!(plane.refused(ann.asks(&plane, Method::GET, "/v1/session")).await, "unauthorized");
    assert_eq!(try_sign_in(&plane, &ann.email, PASSWORD).await.status, 401);
    plane.expect(200, plane.patch(&path, json!({ "disabled": false, "display_name": "Ann Smith" }))).await;
    let token = sign_in(&plane, &ann.email).await;
    assert!(plane.sql("select 1 from catalog.sessions where revoked_at is null").await >= 2);
    let ended = plane.expect(200, plane.delete(&format!("{path}/sessions"))).await;
    assert_eq!(ended["ended"], 1);
    let gone = plane.bare(Method::GET, "/v1/session").bearer_auth(token);
    assert_eq!(plane.refused(gone).await, "unauthorized");
    plane.expect(200, plane.delete(&path)).await;
    assert_eq!(plane.refused(plane.get(&path)).await, "user-not-found");
    assert_eq!(plane.sql("select 1 from catalog.memberships").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_holds_no_password_or_token_in_clear() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "owner").await;
    let body = json!({ "email": "new@example.com", "role": "viewer" });
    let request = ann.posts(&plane, "/v1/tenants/acme/invites", &body).header("Idempotency-Key", "k");
    let invite = plane.expect(201, request).await["token"].as_str().unwrap().to_owned();
    let gateway = ann.switch(&plane, "acme").await["token"].as_str().unwrap().to_owned();
    let key = plane.catalog.signing_key().await.unwrap().unwrap();
    let stored = crate::secrecy::everything(&plane).await;
    assert!(stored.contains("ann@example.com"), "the look itself works");
    let signature = gateway.rsplit('.').next().unwrap();
    for secret in [PASSWORD, &ann.token, &invite, signature] {
        let hex = crate::secrecy::hex(secret.as_bytes());
        assert!(!stored.contains(secret) && !stored.contains(&hex), "{secret}");
    }
    assert!(!stored.contains(&crate::secrecy::hex(&key.pkcs8[16..48])));
}

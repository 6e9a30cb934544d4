//! Users' and tenants' ends, and what is kept of secrets.

use super::{PASSWORD, at, sign_in, try_sign_in};
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

/// A gateway may be cut off for as long as what a token has opened lasts, and has to hear of its end all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_tokens_is_kept_as_long_as_their_session_would_have_lasted() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "viewer").await;
    let long = "select 1 from catalog.token_revocations r where r.expires_at > now() + interval '11 hours'
                and r.expires_at >= (select max(expires_at) from catalog.sessions)";
    ann.switch(&plane, "acme").await;
    ann.again(&plane).await.switch(&plane, "acme").await;
    for role in ["member", "admin", "viewer"] {
        plane.expect(200, plane.patch(&at("acme", &ann), json!({ "role": role }))).await;
        assert_eq!(plane.sql(long).await, 1, "one says what those before it said");
        assert_eq!(plane.sql("select 1 from catalog.token_revocations").await, 1);
    }
    plane.expect(200, plane.patch(&format!("/v1/users/{}", ann.email), json!({ "disabled": true }))).await;
    let whole = format!("{long} and r.session_id is null and r.user_id is not null");
    assert_eq!(plane.sql(&whole).await, 1);
    assert_eq!(plane.sql("select 1 from catalog.token_revocations").await, 1, "none for each session");
}

/// What it has opened may last, though the token itself is long of no use.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_long_after_its_last_token_is_told_of_too() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "viewer").await;
    ann.switch(&plane, "acme").await;
    let age = "with aged as (update catalog.session_tenants set issued_at = issued_at - interval '3 hours' returning 1)
               select * from aged";
    assert_eq!(plane.sql(age).await, 1);
    plane.catalog.prune(&catalog_schema::Retention::default()).await.unwrap();
    assert_eq!(plane.sql("select 1 from catalog.session_tenants").await, 1);
    plane.expect(200, ann.asks(&plane, Method::DELETE, "/v1/session")).await;
    assert_eq!(plane.sql("select 1 from catalog.token_revocations where session_id is not null").await, 1);
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

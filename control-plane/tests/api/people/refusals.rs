//! Gateway tokens that are refused before their time, as tenants' routes have it.

use super::{Person, at};
use crate::fixture::Plane;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tenancy::{SessionId, TenantId};

/// What a token says, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    who: String,
    pub(super) tenant: TenantId,
    session: SessionId,
    at: Timestamp,
}

pub(super) async fn issued(plane: &Plane, person: &Person, tenant: &str) -> Issued {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = person.switch(plane, tenant).await["token"].as_str().unwrap().to_owned();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap();
    Issued {
        who: text("sub").to_owned(),
        tenant: text("tenant_id").parse().unwrap(),
        session: text("sid").parse().unwrap(),
        at: Timestamp::from_second(claims["iat"].as_i64().unwrap()).unwrap(),
    }
}

pub(super) async fn refused(plane: &Plane, token: &Issued) -> bool {
    let route = plane.catalog.route_by_id(token.tenant).await.unwrap().unwrap();
    route.refuses_token(token.who.parse().unwrap(), token.session, token.at)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_refuses_its_own_tokens_and_no_others() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane.tenant("other").await;
    let ann = plane.member("ann", "acme", "member").await;
    plane.join(&ann, "other", "member").await;
    let second = ann.again(&plane).await;
    let bob = plane.member("bob", "acme", "owner").await;
    let (one, elsewhere) = (issued(&plane, &ann, "acme").await, issued(&plane, &ann, "other").await);
    let (two, others) = (issued(&plane, &second, "acme").await, issued(&plane, &bob, "acme").await);
    let before = plane.catalog.current_revision().await.unwrap();
    assert!(!refused(&plane, &one).await);

    plane.expect(200, ann.asks(&plane, Method::DELETE, "/v1/session")).await;
    assert!(plane.catalog.current_revision().await.unwrap() > before, "gateways are told");
    assert!(refused(&plane, &one).await && refused(&plane, &elsewhere).await, "the session's, everywhere");
    assert!(!refused(&plane, &two).await && !refused(&plane, &others).await);

    let elsewhere = issued(&plane, &second, "other").await;
    plane.expect(200, plane.patch(&at("acme", &ann), json!({ "role": "viewer" }))).await;
    assert!(refused(&plane, &two).await, "the user's, in this tenant");
    assert!(!refused(&plane, &elsewhere).await && !refused(&plane, &others).await);
    // In the very same second.
    let fresh = issued(&plane, &second, "acme").await;
    assert!(!refused(&plane, &fresh).await, "by the new role");

    plane.expect(200, plane.delete(&at("acme", &ann))).await;
    assert!(refused(&plane, &fresh).await);
    assert!(!refused(&plane, &elsewhere).await && !refused(&plane, &others).await);

    plane.expect(200, plane.patch(&format!("/v1/users/{}", ann.id), json!({ "disabled": true }))).await;
    assert!(refused(&plane, &elsewhere).await);
    assert!(!refused(&plane, &others).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_changes_refuses_the_tokens_of_all_who_have_it() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane
        .expect(
            201,
            plane.post("/v1/tenants/acme/roles", json!({ "name": "support", "permissions": ["data.read"] })),
        )
        .await;
    let (eve, joe) =
        (plane.member("eve", "acme", "support").await, plane.member("joe", "acme", "viewer").await);
    let (token, others) = (issued(&plane, &eve, "acme").await, issued(&plane, &joe, "acme").await);
    let rename = |body: Value| plane.patch("/v1/tenants/acme/roles/support", body);
    plane.expect(200, rename(json!({ "permissions": ["data.read", "tenant.read"] }))).await;
    assert!(refused(&plane, &token).await && !refused(&plane, &others).await);
    let token = issued(&plane, &eve, "acme").await;
    plane.expect(200, rename(json!({ "name": "help" }))).await;
    assert!(!refused(&plane, &token).await, "a name is nothing that anybody may do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_issued_while_its_role_changes_is_of_the_new_one_or_refused() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "member").await;
    for round in 0..20 {
        let role = if round % 2 == 0 { "viewer" } else { "member" };
        let change = plane.expect(200, plane.patch(&at("acme", &ann), json!({ "role": role })));
        let (_, token) = tokio::join!(
            change,
            plane.send(ann.posts(&plane, "/v1/session/switch", &json!({ "tenant": "acme" })))
        );
        assert_eq!(token.status, 200, "{token:?}");
        let old = token.body["role"] != role;
        let claims = token.body["token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        assert_eq!(is_refused(&plane, &claims).await, old, "round {round}");
    }
}

async fn is_refused(plane: &Plane, claims: &str) -> bool {
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap();
    let at = Timestamp::from_second(claims["iat"].as_i64().unwrap()).unwrap();
    let route = plane.catalog.route_by_id(text("tenant_id").parse().unwrap()).await.unwrap().unwrap();
    route.refuses_token(text("sub").parse().unwrap(), text("sid").parse().unwrap(), at)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_again_and_again_is_told_once() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (ann, bob) =
        (plane.member("ann", "acme", "member").await, plane.member("bob", "acme", "owner").await);
    let (token, others) = (issued(&plane, &ann, "acme").await, issued(&plane, &bob, "acme").await);
    let roles = format!(
        "do $$ begin for n in 1..300 loop
           update catalog.memberships set role = case role when 'viewer' then 'member' else 'viewer' end where user_id = '{}';
         end loop; end $$",
        ann.id
    );
    plane.sql(&roles).await;
    let route = plane.catalog.route_by_id(token.tenant).await.unwrap().unwrap();
    assert_eq!(route.revoked.len(), 1);
    assert!(refused(&plane, &token).await && !refused(&plane, &others).await);
}

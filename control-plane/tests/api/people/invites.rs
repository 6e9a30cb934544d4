//! Invites: for one address, once, in time.

use super::{PASSWORD, at, try_sign_in};
use crate::fixture::{Answer, Plane};
use reqwest::Method;
use serde_json::{Value, json};

const INVITES: &str = "/v1/tenants/acme/invites";

async fn invite(plane: &Plane, email: &str, role: &str) -> Value {
    plane.expect(201, plane.post(INVITES, json!({ "email": email, "role": role }))).await
}

async fn accept(plane: &Plane, invite: &Value) -> Answer {
    let body = json!({ "token": invite["token"], "display_name": "New", "password": PASSWORD });
    plane.send(plane.bare(Method::POST, "/v1/invites/accept").json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_makes_an_account_once_with_its_role() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let made = invite(&plane, "New@example.com", "viewer").await;
    assert!(made["token"].as_str().unwrap().starts_with("tni_"));
    let listed = plane.expect(200, plane.get(INVITES)).await;
    assert!(!listed.to_string().contains("tni_"), "{listed}");
    let accepted = accept(&plane, &made).await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    assert_eq!(accepted.body["membership"]["role"], "viewer");
    assert_eq!(accept(&plane, &made).await.problem(), "invite-not-found");
    let token = accepted.body["token"].as_str().unwrap();
    let switch =
        plane.bare(Method::POST, "/v1/session/switch").bearer_auth(token).json(&json!({ "tenant": "acme" }));
    assert_eq!(plane.expect(200, switch).await["access"], "read");
    assert_eq!(try_sign_in(&plane, "new@example.com", PASSWORD).await.status, 201);
    let listed = plane.expect(200, plane.get(INVITES)).await;
    assert_eq!(listed["items"][0]["accepted_by"], accepted.body["user"]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_accept_at_once_one_joins() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    for round in 0..4 {
        let made = invite(&plane, &format!("new{round}@example.com"), "member").await;
        let (one, two) = tokio::join!(accept(&plane, &made), accept(&plane, &made));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 201, "{one:?} {two:?}");
        assert!([401, 404].contains(&statuses[1]), "{one:?} {two:?}");
    }
    let ann = plane.person("ann").await;
    let made = invite(&plane, &ann.email, "member").await;
    let (again, body) = (ann.again(&plane).await, json!({ "token": made["token"] }));
    let join = |who: &super::Person| plane.send(who.posts(&plane, "/v1/session/invites", &body));
    let (one, two) = tokio::join!(join(&ann), join(&again));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404], "{one:?} {two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_opens_no_account_that_exists() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (ann, eve) = (plane.person("ann").await, plane.person("eve").await);
    let made = invite(&plane, &ann.email, "admin").await;
    assert_eq!(accept(&plane, &made).await.problem(), "sign-in-first");
    let body = json!({ "token": made["token"] });
    assert_eq!(plane.refused(eve.posts(&plane, "/v1/session/invites", &body)).await, "invite-for-another");
    let join = || ann.posts(&plane, "/v1/session/invites", &body).header("Idempotency-Key", "k");
    let joined = plane.expect(201, join()).await;
    assert_eq!(joined["role"], "admin");
    assert_eq!(joined, plane.expect(201, join()).await);
    assert_eq!(plane.refused(ann.posts(&plane, "/v1/session/invites", &body)).await, "invite-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_was_withdrawn_or_is_too_old_leads_nowhere() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let withdrawn = invite(&plane, "one@example.com", "member").await;
    let path = format!("{INVITES}/{}", withdrawn["invite"]["id"].as_str().unwrap());
    let first = plane.expect(200, plane.delete(&path)).await;
    assert_eq!(first, plane.expect(200, plane.delete(&path)).await);
    assert_eq!(accept(&plane, &withdrawn).await.problem(), "invite-not-found");
    let old = invite(&plane, "two@example.com", "member").await;
    plane.sql("update catalog.invites set expires_at = now() where email = 'two@example.com'").await;
    assert_eq!(accept(&plane, &old).await.problem(), "invite-not-found");
    assert_eq!(plane.sql("select 1 from catalog.users").await, 0, "and leaves no account behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_invited_and_sent_away_needs_another_invite() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.person("ann").await;
    let body = json!({ "token": invite(&plane, &ann.email, "member").await["token"] });
    plane.expect(201, ann.posts(&plane, "/v1/session/invites", &body)).await;
    plane.expect(200, plane.delete(&at("acme", &ann))).await;
    assert_eq!(plane.refused(ann.posts(&plane, "/v1/session/invites", &body)).await, "invite-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_outlives_the_key_that_made_it_if_another_took_its_place() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let by_key = async |key: &str, email: &str| {
        let body = json!({ "email": email, "role": "member" });
        plane.expect(201, plane.bare(Method::POST, INVITES).bearer_auth(key).json(&body)).await
    };
    let (id, key) = plane.key("acme", "admin", "admin").await;
    let made = [by_key(&key, "one@example.com").await, by_key(&key, "two@example.com").await];
    let rotate = async |id: &str| {
        let path = format!("/v1/tenants/acme/credentials/{id}/rotate");
        let answer = plane.expect(201, plane.post(&path, json!({ "keep_old_s": 0 }))).await;
        answer["credential"]["id"].as_str().unwrap().to_owned()
    };
    let third = rotate(&rotate(&id).await).await;
    assert_eq!(accept(&plane, &made[0]).await.status, 201);
    plane.expect(200, plane.delete(&format!("/v1/tenants/acme/credentials/{third}"))).await;
    assert_eq!(
        accept(&plane, &made[1]).await.problem(),
        "invite-not-found",
        "nobody holds that key any more"
    );
}

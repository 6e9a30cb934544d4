//! Signing in, sessions, and gateway tokens.

use super::{PASSWORD, try_sign_in};
use crate::fixture::{Plane, eventually};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use control_plane::failpoint::NoFailpoints;
use identity::Token;
use identity::own::{OwnKey, verify};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tenancy::Access;

/// The public keys, as a gateway has them.
async fn keys(plane: &Plane) -> Vec<OwnKey> {
    let document = plane.catalog.identity().await.unwrap();
    let own = document.signing_keys.into_iter().map(|key| OwnKey {
        id: key.id.to_string(),
        public: key.public_key,
        verifies_until: u64::MAX,
    });
    own.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_belongs_to_many_tenants_and_has_a_token_of_the_role_for_each() {
    let plane = Plane::start().await;
    let ann = plane.person("ann").await;
    let roles = [
        ("one", "owner", Access::Owner),
        ("two", "member", Access::Write),
        ("three", "viewer", Access::Read),
    ];
    for (tenant, role, _) in roles {
        plane.tenant(tenant).await;
        plane.join(&ann, tenant, role).await;
    }
    plane.tenant("strangers").await;
    for (tenant, role, access) in roles {
        let answer = ann.switch(&plane, tenant).await;
        assert_eq!((&answer["role"], &answer["access"]), (&json!(role), &json!(access.as_str())));
        let text = answer["token"].as_str().unwrap();
        let token = verify(&Token::parse(text, 8_192).unwrap(), &keys(&plane).await).unwrap();
        assert_eq!(token.tenant.to_string(), plane.shown(tenant).await["id"].as_str().unwrap());
        assert_eq!((token.user, token.access), (ann.user(), access));
        assert!(token.expires_at - token.issued_at <= 600);
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap())
                .unwrap();
        assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("tenantry+jwt")));
    }
    let strangers = plane.shown("strangers").await["id"].as_str().unwrap().to_owned();
    for other in ["strangers", "nobody", &strangers, "not a name"] {
        let body = json!({ "tenant": other });
        assert_eq!(plane.refused(ann.posts(&plane, "/v1/session/switch", &body)).await, "tenant-not-found");
    }
    let mine = plane.expect(200, ann.asks(&plane, Method::GET, "/v1/session/tenants?limit=2")).await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 2);
    let rest = format!("/v1/session/tenants?cursor={}", mine["next_cursor"].as_str().unwrap());
    let rest = plane.expect(200, ann.asks(&plane, Method::GET, &rest)).await;
    assert_eq!(rest["items"][0]["tenant"]["slug"], "three");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_and_a_wrong_password_are_one() {
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    let ann = plane.person("ann").await;
    let bob = plane.person("bob").await;
    plane.expect(200, plane.patch(&format!("/v1/users/{}", bob.id), json!({ "disabled": true }))).await;
    let without = json!({ "email": "idp@example.com", "display_name": "Without" });
    plane.expect(201, plane.post("/v1/users", without)).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        (ann.email.as_str(), "correct horse batterY"),
        (bob.email.as_str(), PASSWORD),
        ("idp@example.com", PASSWORD),
        ("no address at all", PASSWORD),
    ] {
        let mut answer = try_sign_in(&plane, email, password).await;
        answer.body.as_object_mut().unwrap().remove("request_id");
        answers.push((answer.status, answer.body));
    }
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0].1["type"], "urn:tenantry:problem:sign-in-refused");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(try_sign_in(&plane, "ANN@example.com", PASSWORD).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_guessed_at_so_often_and_no_more() {
    let adapt = |config: &mut config::ControlPlaneConfig| config.people.sign_ins_per_account = 3;
    let plane = Plane::start_adapted(Arc::new(NoFailpoints), reqwest::Client::new(), adapt).await;
    let (ann, bob) = (plane.person("ann").await, plane.person("bob").await);
    for _ in 0..3 {
        assert_eq!(try_sign_in(&plane, &ann.email, "a wrong guess").await.status, 401);
    }
    assert_eq!(try_sign_in(&plane, &ann.email, PASSWORD).await.status, 429);
    assert_eq!(try_sign_in(&plane, &bob.email, PASSWORD).await.status, 201);
    // Who is in stays in.
    plane.expect(200, ann.asks(&plane, Method::GET, "/v1/session")).await;
    let metrics = plane.send(plane.anonymous("/metrics")).await.body.to_string();
    assert!(metrics.contains(r#"sign_ins_total{outcome=\"refused\"} 3"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_guesses_so_often_and_no_more() {
    let adapt = |config: &mut config::ControlPlaneConfig| config.people.sign_ins_per_minute = 3;
    let plane = Plane::start_adapted(Arc::new(NoFailpoints), reqwest::Client::new(), adapt).await;
    let ann = plane.person("ann").await;
    for name in ["a", "b"] {
        assert_eq!(try_sign_in(&plane, &format!("{name}@example.com"), PASSWORD).await.status, 401);
    }
    let invite = json!({ "token": "tni_guess" });
    assert_eq!(plane.refused(ann.posts(&plane, "/v1/session/invites", &invite)).await, "invite-not-found");
    assert_eq!(try_sign_in(&plane, &ann.email, PASSWORD).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_ended_and_when_its_time_is_over() {
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    let ann = plane.person("ann").await;
    let (second, third) = (ann.again(&plane).await, ann.again(&plane).await);
    let listed = plane.expect(200, ann.asks(&plane, Method::GET, "/v1/sessions")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    assert!(!listed.to_string().contains("tnu_"), "{listed}");

    let shown = plane.expect(200, second.asks(&plane, Method::GET, "/v1/session")).await;
    assert_eq!(shown["user"]["email"], "ann@example.com");
    let path = format!("/v1/sessions/{}", shown["session"]["id"].as_str().unwrap());
    plane.expect(200, ann.asks(&plane, Method::DELETE, &path)).await;
    assert_eq!(plane.refused(second.asks(&plane, Method::GET, "/v1/session")).await, "unauthorized");
    let bob = plane.person("bob").await;
    assert_eq!(plane.refused(bob.asks(&plane, Method::DELETE, &path)).await, "session-not-found");

    plane
        .sql(
            "update catalog.sessions set expires_at = now() where user_id =
               (select id from catalog.users where email = 'bob@example.com')",
        )
        .await;
    assert_eq!(plane.refused(bob.asks(&plane, Method::GET, "/v1/session")).await, "unauthorized");

    plane.expect(200, third.asks(&plane, Method::DELETE, "/v1/session")).await;
    assert_eq!(plane.refused(third.asks(&plane, Method::GET, "/v1/session")).await, "unauthorized");
    plane.expect(200, ann.asks(&plane, Method::GET, "/v1/session")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_who_knows_it_and_ends_the_other_sessions() {
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    let ann = plane.person("ann").await;
    let other = ann.again(&plane).await;
    let change = |current: &str, new: &str| {
        ann.posts(&plane, "/v1/session/password", &json!({ "current": current, "new": new }))
    };
    assert_eq!(plane.refused(change("not the password", "another password")).await, "sign-in-refused");
    assert_eq!(plane.refused(change(PASSWORD, "short")).await, "invalid-field");
    let ended = plane.expect(200, change(PASSWORD, "another password")).await;
    assert_eq!(ended["ended"], 1);
    assert_eq!(plane.refused(other.asks(&plane, Method::GET, "/v1/session")).await, "unauthorized");
    plane.expect(200, ann.asks(&plane, Method::GET, "/v1/session")).await;
    assert_eq!(try_sign_in(&plane, &ann.email, PASSWORD).await.status, 401);
    assert_eq!(try_sign_in(&plane, &ann.email, "another password").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_until_another_does_and_all_is_forgotten_at_once_when_it_has_to_be() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "owner").await;
    let token = ann.switch(&plane, "acme").await["token"].as_str().unwrap().to_owned();
    let good = async |text: &str| verify(&Token::parse(text, 8_192).unwrap(), &keys(&plane).await).is_ok();
    let before = plane.catalog.identity().await.unwrap().version;
    let rotated = plane.expect(201, plane.post("/v1/signing-keys/rotate", json!({}))).await;
    assert!(plane.catalog.identity().await.unwrap().version > before, "gateways are told");
    assert!(good(&token).await, "what was signed before stays good");
    let listed = plane.expect(200, plane.get("/v1/signing-keys")).await;
    assert_eq!(listed["items"][1]["id"], rotated["id"]);
    plane.expect(201, plane.post("/v1/signing-keys/rotate", json!({ "compromised": true }))).await;
    assert!(!good(&token).await);
    eventually("the new key signs", async || {
        let fresh = ann.switch(&plane, "acme").await["token"].as_str().unwrap().to_owned();
        good(&fresh).await.then_some(())
    })
    .await;
}

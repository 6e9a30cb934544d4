//! What only looks like a token. Each is tried over HTTP and on the wire; the verifier's own tests know many more.

use super::{STACK, answer, member_of, refused, register, sql, sqlstate, with_token};
use harness::oidc::{Signer, now};
use harness::{Oidc, Tenant, eventually};
use serde_json::{Value, json};

struct Attack {
    name: &'static str,
    token: String,
    /// What its sender is told. Nothing before its signature was checked.
    told: &'static str,
}

fn attacks(oidc: &Oidc, tenant: &Tenant) -> Vec<Attack> {
    let good = oidc.claims(&member_of(tenant));
    let with = |name: &str, value: Value| {
        let mut claims = member_of(tenant);
        claims[name] = value;
        oidc.token(&claims)
    };
    let key = oidc.key_id();
    let headed = |header: Value| oidc.token_with(&header, &member_of(tenant));
    let unsigned = headed(json!({"alg": "none"}));
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    let stranger = Signer::generate();
    let es256 = |extra: Value| {
        let mut header = json!({"alg": "ES256", "kid": key});
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        header
    };
    let nothing = "the token is not valid";
    let attack = |name, token: String, told| Attack { name, token, told };
    vec![
        attack("alg none", format!("{unsigned}."), nothing),
        attack("alg none, signed", headed(json!({"alg": "none"})), nothing),
        attack("a shared secret", headed(json!({"alg": "HS256", "kid": key})), nothing),
        attack("another algorithm", headed(json!({"alg": "RS256", "kid": key})), nothing),
        attack("a stranger's key", stranger.token(&es256(json!({})), &good), nothing),
        attack(
            "a key in the header",
            stranger.token(&es256(json!({"jwk": stranger.jwk("x")})), &good),
            nothing,
        ),
        attack(
            "a key elsewhere",
            stranger.token(&es256(json!({"jku": "https://example.com/jwks"})), &good),
            nothing,
        ),
        attack("no such key", headed(es256(json!({"kid": "../../etc/passwd"}))), nothing),
        attack("critical", headed(es256(json!({"crit": ["x"], "x": 1}))), nothing),
        attack("for a logout", headed(es256(json!({"typ": "logout+jwt"}))), nothing),
        attack("huge", with("x", json!("y".repeat(9_000))), nothing),
        attack("another issuer", with("iss", json!("https://example.com/")), nothing),
        attack("two issuers", with("iss", json!([oidc.iss(), "https://example.com/"])), nothing),
        attack("another audience", with("aud", json!("others")), "the token is for another audience"),
        attack(
            "no audience",
            with("aud", Value::Null),
            "the token lacks a claim, or has one of the wrong kind",
        ),
        attack("expired", with("exp", json!(now() - 60)), "the token has expired"),
        attack("no end", with("exp", Value::Null), "the token lacks a claim, or has one of the wrong kind"),
        attack("not yet", with("nbf", json!(now() + 600)), "the token is not valid yet"),
        attack("nobody", with("sub", Value::Null), "the token lacks a claim, or has one of the wrong kind"),
        attack(
            "no text for a tenant",
            with("tenant_id", json!([tenant.slug])),
            "the token lacks a claim, or has one of the wrong kind",
        ),
    ]
}

#[tokio::test]
async fn what_is_no_good_token_opens_nothing_and_says_little() {
    let tenant = STACK.create_tenant("attacked", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    eventually("a good token opens it", async || {
        (answer(sql(&oidc.token(&member_of(&tenant)), "select 1")).await.0 == 200).then_some(())
    })
    .await;
    for Attack { name, token, told } in attacks(&oidc, &tenant) {
        let body = refused(sql(&token, "select 1"), 401).await;
        assert_eq!((&body["message"], &body["code"]), (&json!(told), &json!("28P01")), "{name}");
        if name == "huge" {
            continue; // Longer than any message before the end of a login: the wire has words of its own.
        }
        assert_eq!(sqlstate(&with_token(&tenant, "token", &token)).await, "28P01", "{name}");
    }
    let counted =
        async |result: &str| STACK.metric("tenantry_tokens_total", &[&format!("result=\"{result}\"")]).await;
    for result in [
        "malformed",
        "algorithm",
        "signature",
        "unknown-key",
        "audience",
        "expired",
        "not-yet-valid",
        "too-large",
    ] {
        assert!(counted(result).await >= 1.0, "{result}");
    }
}

#[tokio::test]
async fn inventing_keys_does_not_have_a_provider_asked_each_time() {
    let tenant = STACK.create_tenant("inventor", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    eventually("a good token opens it", async || {
        (answer(sql(&oidc.token(&member_of(&tenant)), "select 1")).await.0 == 200).then_some(())
    })
    .await;
    let before = (oidc.fetches(), held_back().await);
    for index in 0..200 {
        let header = json!({"alg": "ES256", "kid": format!("invented-{index}")});
        refused(sql(&oidc.token_with(&header, &member_of(&tenant)), "select 1"), 401).await;
    }
    let held = held_back().await - before.1;
    assert!(held > 0.0, "some were not passed on");
    assert!(oidc.fetches() - before.0 < 200, "{} fetches", oidc.fetches() - before.0);
}

async fn held_back() -> f64 {
    STACK.metric("tenantry_jwks_fetches_total", &["result=\"held-back\""]).await
}

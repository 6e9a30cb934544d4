//! Whose tokens open which tenants, and when they no longer do.

use super::{
    STACK, answer, connect, created, database_of, member_of, refused, register, register_own, sql, sqlstate,
    value, with_token,
};
use harness::{Oidc, eventually, oidc};
use reqwest::Method;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::sync::Arc;
use suites::certs::{Authority, Signed};
use tenantry::client::path;

#[tokio::test]
async fn a_tenants_own_issuer_vouches_for_it_alone() {
    let mine = STACK.create_tenant("own-mine", "eu").await;
    let other = STACK.create_tenant("own-other", "eu").await;
    let oidc = Oidc::start().await;
    register_own(&mine, &oidc, json!({})).await;
    let token = oidc.token(&json!({ "role": "member" }));
    let at_home = || sql(&token, "select current_database()::text").header("host", "own-mine.localhost");
    eventually("the issuer is known", async || (answer(at_home()).await.0 == 200).then_some(())).await;
    let row = connect(&with_token(&mine, "token", &token)).await.unwrap();
    let found: String = row.query_one("select current_database()::text", &[]).await.unwrap().get(0);
    assert_eq!(found, database_of(&mine).await);
    // Something has to name the tenant, and what does must be its own.
    let expected = refused(sql(&token, "select 1"), 401).await;
    let at_others = sql(&token, "select 1").header("host", "own-other.localhost");
    assert_eq!(refused(at_others, 401).await, expected);
    let at_nobodys = sql(&token, "select 1").header("host", "own-nobody.localhost");
    assert_eq!(refused(at_nobodys, 401).await, expected);
    assert_eq!(sqlstate(&with_token(&other, "token", &token)).await, "28P01");
    // If it names one besides, that one counts, wherever it is shown.
    let names_other = oidc.token(&member_of(&other));
    for host in ["own-mine.localhost", "own-other.localhost"] {
        let (status, _) = answer(sql(&names_other, "select 1").header("host", host)).await;
        assert!(matches!(status, 401 | 403), "{host}: {status}");
    }
    // Also where the tenant is named only by what clients fill in for a database that is not given.
    let mut filled_in = with_token(&mine, &mine.slug, &names_other);
    filled_in.dbname(&mine.slug).options("-c tenantry.auth=token");
    let before = STACK.metric("tenantry_cross_tenant_anomalies_total", &["first=\"token\""]).await;
    assert_eq!(sqlstate(&filled_in).await, "28000");
    assert!(STACK.metric("tenantry_cross_tenant_anomalies_total", &["first=\"token\""]).await > before);
    let names_mine = oidc.token(&member_of(&mine));
    assert!(connect(filled_in.password(&names_mine)).await.is_ok());
}

/// Nothing of an issuer's can be had from there: the discard port is reserved.
const NOWHERE: &str = "http://127.0.0.1:9/keys";

#[tokio::test]
async fn whether_a_tenant_has_an_issuer_of_its_own_is_not_told_by_its_keys() {
    let tenant = STACK.create_tenant("own-keyless", "eu").await;
    STACK.create_tenant("own-none", "eu").await;
    let oidc = Oidc::start().await;
    register_own(&tenant, &oidc, json!({ "jwks_url": NOWHERE })).await;
    let token = oidc.token(&json!({ "role": "member" }));
    let at = |slug: &str| sql(&token, "select 1").header("host", format!("{slug}.localhost"));
    let unavailable = ["result=\"keys-unavailable\""];
    eventually("its keys are asked for", async || {
        answer(at("own-keyless")).await;
        (STACK.metric("tenantry_tokens_total", &unavailable).await > 0.0).then_some(())
    })
    .await;
    assert_eq!(refused(at("own-keyless"), 401).await, refused(at("own-none"), 401).await);
}

#[tokio::test]
async fn two_tenants_issuers_of_one_name_are_two() {
    let (one, two) =
        (STACK.create_tenant("same-one", "eu").await, STACK.create_tenant("same-two", "us").await);
    let (first, second) = (Oidc::start().await, Oidc::start().await);
    let name = json!("https://same.example.com/");
    register_own(&one, &first, json!({ "iss": name })).await;
    register_own(&two, &second, json!({ "iss": name })).await;
    let token = |oidc: &Oidc| oidc.token(&json!({ "iss": name, "role": "member" }));
    let at = |token: &str, slug: &str| sql(token, "select 1").header("host", format!("{slug}.localhost"));
    for (oidc, own, other) in [(&first, "same-one", "same-two"), (&second, "same-two", "same-one")] {
        let token = token(oidc);
        eventually("its own tenant takes it", async || {
            (answer(at(&token, own)).await.0 == 200).then_some(())
        })
        .await;
        refused(at(&token, other), 401).await;
    }
}

#[tokio::test]
async fn an_organizations_id_leads_to_the_tenant_that_it_is_tied_to() {
    let tenant = STACK.create_tenant("tied", "eu").await;
    let oidc = Oidc::start().await;
    let issuer = register(&oidc, json!({ "shape": "organization", "tenant_form": "external" })).await;
    let first = oidc.token(&json!({ "org_id": "org_tied", "org_role": "org:admin" }));
    let second = oidc.token(&json!({ "v": 2, "o": { "id": "org_tied", "rol": "viewer" } }));
    let ids = path(&["tenants", "tied", "external-ids"]);
    let body = json!({ "issuer_id": issuer, "external_id": "org_tied" });
    STACK.must(Method::POST, &ids, Some(&body)).await;
    let query = "select current_database()::text";
    eventually("the name is known", async || (answer(sql(&first, query)).await.0 == 200).then_some(())).await;
    assert_eq!(value(&first, query).await, database_of(&tenant).await);
    assert_eq!(value(&second, query).await, database_of(&tenant).await);
    refused(sql(&oidc.token(&json!({ "org_id": "org_other", "org_role": "org:admin" })), query), 401).await;

    let taken = STACK.create_tenant("tied-second", "eu").await;
    let taken = path(&["tenants", &taken.id, "external-ids"]);
    let error = STACK.client().change(Method::POST, &taken, Some(&body)).await.unwrap_err();
    assert!(error.to_string().contains("calls another tenant"), "{error}");

    STACK.must(Method::DELETE, &path(&["tenants", "tied", "external-ids", &issuer, "org_tied"]), None).await;
    eventually("it is tied no more", async || (answer(sql(&first, query)).await.0 == 401).then_some(()))
        .await;
}

#[tokio::test]
async fn an_issuer_that_is_removed_or_changed_is_so_at_once() {
    let tenant = STACK.create_tenant("changing", "eu").await;
    let oidc = Oidc::start().await;
    let issuer = register(&oidc, json!({})).await;
    let token = oidc.token(&member_of(&tenant));
    let status = async || answer(sql(&token, "select 1")).await.0;
    eventually("a good token opens it", async || (status().await == 200).then_some(())).await;
    let one = path(&["issuers", &issuer]);
    STACK.must(Method::PATCH, &one, Some(&json!({ "audiences": ["others"] }))).await;
    eventually("it is for others", async || (status().await == 401).then_some(())).await;
    let both = json!({ "audiences": ["others", oidc::AUDIENCE], "roles": { "boss": "owner" } });
    STACK.must(Method::PATCH, &one, Some(&both)).await;
    eventually("its roles have other words", async || (status().await == 403).then_some(())).await;
    let boss = oidc.token(&json!({ "tenant_id": tenant.slug, "role": "boss" }));
    assert_eq!(answer(sql(&boss, "select 1")).await.0, 200);
    let session = connect(&with_token(&tenant, "token", &boss)).await.unwrap();
    session.simple_query("select 1").await.unwrap();
    STACK.must(Method::PATCH, &one, Some(&json!({ "leeway_s": 10 }))).await;
    eventually("a session ends with what its issuer was", async || {
        session.simple_query("select 1").await.err().map(drop)
    })
    .await;
    let session = connect(&with_token(&tenant, "token", &boss)).await.unwrap();
    session.simple_query("select 1").await.unwrap();
    STACK.must(Method::DELETE, &one, None).await;
    eventually("a session ends with its issuer", async || {
        session.simple_query("select 1").await.err().map(drop)
    })
    .await;
    eventually("a token from before is of no use", async || {
        (answer(sql(&boss, "select 1")).await.0 == 401).then_some(())
    })
    .await;
    assert_eq!(sqlstate(&with_token(&tenant, "token", &boss)).await, "28P01");
}

#[tokio::test]
async fn a_provider_tells_over_tls_where_its_keys_are() {
    let tenant = STACK.create_tenant("over-tls", "eu").await;
    let authority = Authority::new("providers");
    let oidc = Oidc::start_tls(server(&authority.sign(&["localhost"], true))).await;
    let body = json!({ "iss": oidc.iss(), "audiences": [oidc::AUDIENCE], "tenant_form": "slug" });
    let error = STACK.client().change(Method::POST, &path(&["issuers"]), Some(&body)).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "whose authority nobody trusts: {error}");
    let mut trusted = body.clone();
    trusted["jwks_ca"] = json!(authority.pem());
    let issuer = STACK.must(Method::POST, &path(&["issuers"]), Some(&trusted)).await;
    assert_eq!(issuer["jwks_url"], oidc.jwks_url());
    let token = oidc.token(&member_of(&tenant));
    eventually("its token opens the tenant", async || {
        (answer(sql(&token, "select 1")).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_issuer_can_be_tried_before_anybody_relies_on_it() {
    let oidc = Oidc::start().await;
    let issuer = register(&oidc, json!({})).await;
    let test = async |token: &str| {
        let path = path(&["issuers", &issuer, "test"]);
        STACK.must(Method::POST, &path, Some(&json!({ "token": token }))).await
    };
    let good = test(&oidc.token(&json!({ "tenant_id": "anybody", "role": "viewer" }))).await;
    let expected = json!({ "accepted": true, "user": "somebody", "tenant": "anybody", "role": "viewer" });
    assert_eq!(good, json!({ "keys": 1, "token": expected }));
    let bad = test(&oidc.token(&json!({ "aud": "others" }))).await;
    assert_eq!((&bad["token"]["accepted"], &bad["token"]["reason"]), (&json!(false), &json!("audience")));
}

#[tokio::test]
async fn what_could_not_be_kept_apart_is_not_registered() {
    let tenant = STACK.create_tenant("strict", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    let refused = async |change: serde_json::Value, words: &str| {
        let mut body = json!({
            "iss": "https://strict.example.com", "audiences": ["x"], "jwks_url": "https://strict.example.com/jwks",
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = STACK.client().change(Method::POST, &path(&["issuers"]), Some(&body)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{change}: {error}");
    };
    refused(json!({ "iss": oidc.iss() }), "already").await;
    refused(json!({ "iss": "tenantry" }), "control plane itself").await;
    refused(json!({ "algorithms": ["HS256"] }), "not an algorithm").await;
    refused(json!({ "algorithms": ["none"] }), "not an algorithm").await;
    refused(json!({ "jwks_url": "http://strict.example.com/jwks" }), "not https").await;
    refused(json!({ "audiences": [] }), "audiences").await;
    refused(json!({ "leeway_s": 3600 }), "leeway_s").await;
    refused(json!({ "tenant_claim": "org" }), "shape").await;
    refused(json!({ "shape": "custom" }), "tenant").await;
    refused(json!({ "jwks_ca": "no certificate" }), "jwks_ca").await;
    refused(json!({ "audience": ["x"] }), "unknown field").await;
    // Each tenant may have it as well.
    created(&path(&["tenants", &tenant.id, "issuers"]), &oidc, json!({})).await;
}

fn server(signed: &Signed) -> ServerConfig {
    let chain =
        CertificateDer::pem_slice_iter(signed.cert.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

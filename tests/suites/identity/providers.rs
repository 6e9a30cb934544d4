//! Providers' new keys, and their troubles.

use super::{JWKS_RETRY, STACK, answer, connect, member_of, register, sql, with_token};
use harness::oidc::Trouble;
use harness::{Oidc, Tenant, eventually};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tenantry::client::path;
use tokio::task::JoinSet;

/// Clients that use a new token each time while keys change.
const CLIENTS: usize = 4;

/// New keys in their time.
const ROTATIONS: usize = 6;

/// What each client has to get done between two of them.
const BETWEEN: u64 = 3;

async fn status(oidc: &Oidc, tenant: &Tenant) -> u16 {
    answer(sql(&oidc.token(&member_of(tenant)), "select 1")).await.0
}

async fn known(oidc: &Oidc, tenant: &Tenant) {
    eventually("the provider is known", async || (status(oidc, tenant).await == 200).then_some(())).await;
}

#[tokio::test]
async fn new_keys_under_load_fail_nobody() {
    let tenant = STACK.create_tenant("rotating", "eu").await;
    let oidc = Arc::new(Oidc::start().await);
    register(&oidc, json!({})).await;
    known(&oidc, &tenant).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (oidc, tenant) = (Arc::clone(&oidc), tenant.clone());
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        clients.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let token = oidc.token(&member_of(&tenant));
                if client % 2 == 0 {
                    let (status, body) = answer(sql(&token, "select 1")).await;
                    assert_eq!(status, 200, "{body:#}");
                } else {
                    connect(&with_token(&tenant, "token", &token)).await.unwrap();
                }
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for _ in 0..ROTATIONS {
        let goal = done.load(Ordering::SeqCst) + BETWEEN * CLIENTS as u64;
        eventually("clients get on", async || (done.load(Ordering::SeqCst) >= goal).then_some(())).await;
        let fetches = oidc.fetches();
        oidc.rotate(true);
        eventually("the new key is fetched", async || (oidc.fetches() > fetches).then_some(())).await;
        let fetched = Instant::now();
        // Two keys in less than that are more than a gateway asks a provider for.
        eventually("keys may be fetched again", async || (fetched.elapsed() > JWKS_RETRY).then_some(()))
            .await;
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_withdrawn_is_of_no_use_once_the_keys_were_asked_for_again() {
    let tenant = STACK.create_tenant("key-withdrawn", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    known(&oidc, &tenant).await;
    let old = oidc.token(&member_of(&tenant));
    oidc.rotate(false);
    known(&oidc, &tenant).await;
    assert_eq!(answer(sql(&old, "select 1")).await.0, 401);
}

#[tokio::test]
async fn a_new_key_is_found_also_by_a_token_that_names_none() {
    let tenant = STACK.create_tenant("key-unnamed", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    known(&oidc, &tenant).await;
    oidc.rotate(true);
    let unnamed = oidc.token_with(&json!({ "alg": "ES256" }), &member_of(&tenant));
    eventually("the new key is known", async || {
        (answer(sql(&unnamed, "select 1")).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn known_keys_serve_while_their_provider_is_down() {
    let tenant = STACK.create_tenant("down", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    known(&oidc, &tenant).await;
    oidc.trouble(Trouble::Down);
    for _ in 0..5 {
        assert_eq!(status(&oidc, &tenant).await, 200);
    }
    let before = oidc.token(&member_of(&tenant));
    // A new key cannot be had, and that is nobody's fault who has an old one.
    oidc.rotate(true);
    eventually("the new key is refused", async || (status(&oidc, &tenant).await == 401).then_some(())).await;
    assert_eq!(answer(sql(&before, "select 1")).await.0, 200);
    oidc.trouble(Trouble::None);
    known(&oidc, &tenant).await;
}

#[tokio::test]
async fn a_provider_in_trouble_from_the_start_is_told_apart_from_a_bad_token_and_heals() {
    for (number, trouble) in
        [Trouble::Down, Trouble::Failing, Trouble::Garbage, Trouble::Huge, Trouble::Redirect]
            .into_iter()
            .enumerate()
    {
        let tenant = STACK.create_tenant(&format!("trouble-{number}"), "eu").await;
        let oidc = Oidc::start().await;
        oidc.trouble(trouble);
        let issuer = register(&oidc, json!({})).await;
        let told = eventually("the issuer is known", async || {
            let (status, body) = answer(sql(&oidc.token(&member_of(&tenant)), "select 1")).await;
            (status == 503).then_some(body)
        })
        .await;
        assert_eq!(told["message"], "the token's issuer cannot be asked for its keys", "{trouble:?}");
        let test = path(&["issuers", &issuer, "test"]);
        let error = STACK.client().change(Method::POST, &test, Some(&json!({}))).await.unwrap_err();
        assert!(error.to_string().contains("the issuer's keys cannot be had"), "{trouble:?}: {error}");
        oidc.trouble(Trouble::None);
        known(&oidc, &tenant).await;
    }
}

#[tokio::test]
async fn a_silent_provider_keeps_nobody_waiting_but_its_own() {
    let tenant = STACK.create_tenant("silent", "eu").await;
    let (silent, healthy) = (Oidc::start().await, Oidc::start().await);
    register(&silent, json!({})).await;
    register(&healthy, json!({})).await;
    known(&healthy, &tenant).await;
    silent.trouble(Trouble::Silent);
    let token = silent.token(&member_of(&tenant));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let request = sql(&token, "select 1");
            tokio::spawn(async move { answer(request).await.0 })
        })
        .collect();
    eventually("it is asked", async || (silent.fetches() > 0).then_some(())).await;
    // Keys that are not cached, and a connection on the wire, while others wait.
    healthy.rotate(true);
    known(&healthy, &tenant).await;
    connect(&with_token(&tenant, "token", &healthy.token(&member_of(&tenant)))).await.unwrap();
    for one in waiting {
        assert_eq!(one.await.unwrap(), 503);
    }
    assert!(silent.fetches() <= 2, "all waited for one: {}", silent.fetches());
}

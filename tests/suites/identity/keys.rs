//! API keys: what they are good for, how long, and how they are changed.

use super::STACK;
use harness::{Knock, Tenant, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

pub(super) async fn make(tenant: &Tenant, body: Value) -> Value {
    STACK.must(Method::POST, &path(&["tenants", &tenant.slug, "credentials"]), Some(&body)).await
}

pub(super) async fn revoke(tenant: &Tenant, id: &str) {
    STACK.must(Method::DELETE, &path(&["tenants", &tenant.slug, "credentials", id]), None).await;
}

async fn rotate(tenant: &Tenant, id: &str, body: Value) -> Value {
    let path = path(&["tenants", &tenant.slug, "credentials", id, "rotate"]);
    STACK.must(Method::POST, &path, Some(&body)).await
}

async fn with(key: &Value, query: &str) -> (u16, Value) {
    Knock::new().bearer(key["api_key"].as_str().unwrap()).ask(&STACK, query).await
}

async fn opens(key: &Value) -> bool {
    with(key, "select 1").await.0 == 200
}

fn id_of(key: &Value) -> &str {
    key["credential"]["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_key_may_do_what_its_scope_leaves_of_its_role() {
    let tenant = STACK.create_tenant("scoped", "eu").await;
    let owner = make(&tenant, json!({ "kind": "api-key" })).await;
    assert_eq!(with(&owner, "create table t (n int)").await.0, 200);
    for (body, may_write, may_create) in [
        (json!({ "kind": "api-key", "scope": "admin" }), true, true),
        (json!({ "kind": "api-key", "role": "admin" }), true, true),
        (json!({ "kind": "api-key", "role": "member" }), true, false),
        (json!({ "kind": "api-key", "role": "viewer" }), false, false),
        (json!({ "kind": "api-key", "scope": "read-only" }), false, false),
    ] {
        let key = make(&tenant, body.clone()).await;
        assert_eq!(with(&key, "select count(*) from t").await.0, 200, "{body}");
        let refused = |(status, answer): (u16, Value)| match status {
            200 => false,
            _ => {
                assert_eq!(answer["code"], "42501", "{body}: {answer:#}");
                true
            }
        };
        assert_eq!(!refused(with(&key, "insert into t values (1)").await), may_write, "{body}");
        let created = with(&key, &format!("create table c{}(n int)", id_of(&key).replace('-', ""))).await;
        assert_eq!(!refused(created), may_create, "{body}");
    }
}

#[tokio::test]
async fn two_of_a_rotation_are_good_at_once_and_the_old_one_ends() {
    let tenant = STACK.create_tenant("rotated", "eu").await;
    let first = make(&tenant, json!({ "kind": "api-key", "role": "member", "scope": "data" })).await;
    let second = rotate(&tenant, id_of(&first), json!({ "keep_old_s": 3600 })).await;
    assert_eq!(
        (&second["credential"]["role"], &second["credential"]["replaces"]),
        (&json!("member"), &first["credential"]["id"])
    );
    assert!(second["replaced"]["expires_at"].is_string());
    assert!(opens(&first).await && opens(&second).await);
    // Neither is replaced once more while both are good.
    for id in [id_of(&first), id_of(&second)] {
        let path = path(&["tenants", &tenant.slug, "credentials", id, "rotate"]);
        let refused = STACK.client().change(Method::POST, &path, Some(&json!({}))).await.unwrap_err();
        assert!(refused.to_string().contains("rotat"), "{refused}");
    }
    revoke(&tenant, id_of(&first)).await;
    eventually("the old key opens nothing", async || (!opens(&first).await).then_some(())).await;
    let third = rotate(&tenant, id_of(&second), json!({ "keep_old_s": 0 })).await;
    eventually("the second opens nothing", async || (!opens(&second).await).then_some(())).await;
    assert!(opens(&third).await);
}

#[tokio::test]
async fn a_password_is_rotated_without_a_moment_in_which_none_is_good() {
    let tenant = STACK.create_tenant("rotated-password", "eu").await;
    let made = make(&tenant, json!({ "kind": "password", "user_name": "jobs" })).await;
    let rotated = rotate(&tenant, id_of(&made), json!({})).await;
    for handover in [&made, &rotated] {
        let knock = Knock::new().connection_string(handover["connection_string"].as_str().unwrap());
        eventually("it is known", async || (knock.status(&STACK).await == 200).then_some(())).await;
    }
}

#[tokio::test]
async fn a_keys_last_use_is_told() {
    let tenant = STACK.create_tenant("used", "eu").await;
    let key = make(&tenant, json!({ "kind": "api-key" })).await;
    let last_use = async || {
        let listed = STACK.client().list(&path(&["tenants", "used", "credentials"])).await.unwrap();
        let mine = listed.into_iter().find(|listed| listed["id"] == key["credential"]["id"]).unwrap();
        mine["last_used_at"].as_str().map(str::to_owned)
    };
    assert_eq!(last_use().await, None);
    assert!(opens(&key).await);
    eventually("the heartbeat has told of it", last_use).await;
}

//! What a token is good for beside what `idor` asks of every route.

use crate::fixture::Plane;
use catalog_schema::AuditFilter;
use catalog_schema::Page;
use control_plane::failpoint::NoFailpoints;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;

fn by(plane: &Plane, token: &str, method: Method, path: &str) -> RequestBuilder {
    plane.bare(method, path).bearer_auth(token)
}

fn get(plane: &Plane, token: &str, path: &str) -> RequestBuilder {
    by(plane, token, Method::GET, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_leaves_out_what_is_anothers() {
    let plane = Plane::start().await;
    let (own, other) = (plane.tenant("own").await, plane.tenant("other").await);
    let (_, key) = plane.key("own", "viewer", "admin").await;
    let items = |listed: Value| listed["items"].as_array().unwrap().clone();
    let tenants = items(plane.expect(200, get(&plane, &key, "/v1/tenants")).await);
    assert_eq!(tenants.iter().map(|one| &one["slug"]).collect::<Vec<_>>(), ["own"]);
    let operations = items(plane.expect(200, get(&plane, &key, "/v1/operations")).await);
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0]["id"], own["operation"]["id"]);
    let named = format!("/v1/operations?tenant={}", own["tenant"]["id"].as_str().unwrap());
    assert_eq!(items(plane.expect(200, get(&plane, &key, &named)).await).len(), 1);
    for another in ["other", other["tenant"]["id"].as_str().unwrap(), "nobody"] {
        let asked = get(&plane, &key, &format!("/v1/operations?tenant={another}"));
        assert_eq!(plane.refused(asked).await, "tenant-not-found", "{another}");
    }
    let (_, data) = plane.key("own", "owner", "data").await;
    assert!(items(plane.expect(200, get(&plane, &data, "/v1/tenants")).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_belongs_to_whoever_made_the_request() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let path = "/v1/tenants/acme/credentials";
    let (_, first) = plane.key("acme", "owner", "admin").await;
    let (_, second) = plane.key("acme", "owner", "admin").await;
    let made = async |request: RequestBuilder| {
        let body = json!({ "kind": "api-key", "role": "viewer" });
        let answer = plane.send(request.header("idempotency-key", "one-key").json(&body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        (answer.headers.contains_key("idempotency-replayed"), answer.body["api_key"].clone())
    };
    let (_, shown) = made(plane.request(Method::POST, path)).await;
    assert_eq!(made(plane.request(Method::POST, path)).await, (true, shown.clone()));
    let mut seen = vec![shown];
    for key in [&first, &second] {
        let (replayed, shown) = made(by(&plane, key, Method::POST, path)).await;
        assert!(!replayed && !seen.contains(&shown), "somebody else's answer was given");
        assert_eq!(made(by(&plane, key, Method::POST, path)).await, (true, shown.clone()));
        seen.push(shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_names_who_did_it() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (_, key) = plane.key("acme", "admin", "admin").await;
    let renamed =
        by(&plane, &key, Method::PATCH, "/v1/tenants/acme").json(&json!({ "display_name": "Acme Inc." }));
    plane.expect(200, renamed).await;
    let rows = plane.catalog.audit(&AuditFilter::default(), &Page::first(200)).await.unwrap();
    let actor = |action: &str| rows.iter().find(|row| row.action == action).map(|row| row.actor.clone());
    assert_eq!(actor("tenant.update").as_deref(), Some(format!("key:{}", &key[..12]).as_str()));
    assert_eq!(actor("credential.create").as_deref(), Some("operator"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_bought_is_not_the_tenants_to_change() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (_, key) = plane.key("acme", "owner", "admin").await;
    for body in [json!({ "plan": "free" }), json!({ "display_name": "A", "allowed_regions": ["eu"] })] {
        let change = by(&plane, &key, Method::PATCH, "/v1/tenants/acme").json(&body);
        assert_eq!(plane.refused(change).await, "forbidden", "{body}");
    }
    let shown = plane.shown("acme").await;
    assert_eq!((&shown["plan"], &shown["display_name"]), (&json!("standard"), &json!("acme")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_key_that_may_do_more_than_they() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (_, admin) = plane.key("acme", "admin", "admin").await;
    let path = "/v1/tenants/acme/credentials";
    let make = |role: &str, scope: &str| {
        let body = json!({ "kind": "api-key", "role": role, "scope": scope });
        by(&plane, &admin, Method::POST, path).json(&body)
    };
    assert_eq!(plane.refused(make("owner", "admin")).await, "forbidden");
    for (role, scope) in [("admin", "admin"), ("viewer", "admin"), ("owner", "data"), ("member", "read-only")]
    {
        plane.expect(201, make(role, scope)).await;
    }
    let (_, owner) = plane.key("acme", "owner", "admin").await;
    let body = json!({ "kind": "api-key", "role": "owner", "scope": "admin" });
    plane.expect(201, by(&plane, &owner, Method::POST, path).json(&body)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_opens_nothing_from_then_on_and_its_use_is_noted() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (id, key) = plane.key("acme", "viewer", "admin").await;
    plane.expect(200, get(&plane, &key, "/v1/tenants/acme")).await;
    let path = "/v1/tenants/acme/credentials";
    let listed = plane.expect(200, plane.get(path)).await;
    let credential = listed["items"].as_array().unwrap().iter().find(|one| one["id"] == id.as_str()).unwrap();
    assert!(credential["last_used_at"].is_string(), "{credential}");
    plane.expect(200, plane.delete(&format!("{path}/{id}"))).await;
    assert_eq!(plane.refused(get(&plane, &key, "/v1/tenants/acme")).await, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_cost_a_bounded_number_of_looks_and_never_the_operator() {
    let adapted = Plane::start_adapted(Arc::new(NoFailpoints), reqwest::Client::new(), |config| {
        config.limits.wrong_tokens_per_minute = 3;
    });
    let plane = adapted.await;
    plane.register_eu().await;
    plane.tenant("acme").await;
    let (_, key) = plane.key("acme", "viewer", "admin").await;
    for _ in 0..10 {
        plane.expect(200, get(&plane, &key, "/v1/tenants")).await;
    }
    for _ in 0..3 {
        assert_eq!(plane.refused(get(&plane, "tnt_wrong", "/v1/tenants")).await, "unauthorized");
    }
    let limited = plane.send(get(&plane, "tnt_wrong", "/v1/tenants")).await;
    assert_eq!((limited.status, limited.problem()), (429, "too-many-wrong-tokens"));
    assert!(limited.headers.contains_key("retry-after"));
    assert_eq!(plane.refused(get(&plane, &key, "/v1/tenants")).await, "too-many-wrong-tokens");
    plane.expect(200, plane.get("/v1/tenants")).await;
    let metrics = plane.expect(200, plane.anonymous("/metrics")).await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains(r#"wrong_tokens_total{outcome="refused"} 3"#), "{metrics}");
    assert!(metrics.contains(r#"wrong_tokens_total{outcome="not-looked-at"} 2"#), "{metrics}");
}

/// Where a tenant is placed is the operator's to know: a tenant would learn who its neighbours are, and what to attack.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_not_told_of_the_fleet() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let placed = plane.shown("acme").await["cluster"].clone();
    assert_eq!(placed, "eu-1");
    let purge = "/v1/tenants/acme?dry_run=true";
    let told = plane.expect(200, plane.delete(purge)).await;
    assert!(told["removes"]["database"].is_string() && told["tenant"]["cluster"] == "eu-1", "{told}");
    let (_, owner) = plane.key("acme", "owner", "admin").await;
    let changed = json!({ "display_name": "Acme Inc." });
    let seen = [
        plane.expect(200, get(&plane, &owner, "/v1/tenants/acme")).await,
        plane.expect(200, get(&plane, &owner, "/v1/tenants")).await["items"][0].clone(),
        plane.expect(200, by(&plane, &owner, Method::PATCH, "/v1/tenants/acme").json(&changed)).await,
        plane.expect(200, by(&plane, &owner, Method::DELETE, purge)).await["tenant"].clone(),
    ];
    for tenant in seen {
        assert_eq!((&tenant["slug"], &tenant["cluster"]), (&json!("acme"), &Value::Null), "{tenant}");
    }
    let planned = plane.expect(200, by(&plane, &owner, Method::DELETE, purge)).await;
    assert_eq!(planned.get("removes"), None, "{planned}");
    let guess = get(&plane, &owner, "/v1/tenants?cluster=eu-1");
    assert_eq!(plane.refused(guess).await, "forbidden");
    let purged = plane.expect(202, by(&plane, &owner, Method::DELETE, "/v1/tenants/acme")).await;
    assert_eq!(purged["tenant"]["cluster"], Value::Null);
}

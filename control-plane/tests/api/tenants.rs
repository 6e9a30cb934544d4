//! A tenant's life through the API.

use crate::fixture::{Plane, servers};
use reqwest::Method;
use serde_json::{Value, json};

async fn databases(names: &[String]) -> i64 {
    let admin = servers().await.catalog.connect("postgres").await.unwrap();
    let sql = "select count(*) from pg_database where datname = any($1)";
    admin.query_one(sql, &[&names]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_suspended_resumed_and_gone() {
    let plane = Plane::start().await;
    let created = plane.tenant("acme").await;
    let url = created["connection_string"].as_str().unwrap();
    assert!(url.starts_with("postgres://app:") && url.ends_with("@127.0.0.1:6432/acme"), "{url}");
    assert_eq!(created["http_endpoint"], "http://127.0.0.1:8080/sql");
    assert!(created["api_key"].as_str().unwrap().starts_with("tnt_"));
    assert_eq!(plane.shown("acme").await["state"], "active");
    let id = created["tenant"]["id"].as_str().unwrap().to_owned();
    let placement = plane.catalog.placement_get(id.parse().unwrap()).await.unwrap().unwrap();
    let names = [placement.database.to_string()];
    assert_eq!(databases(&names).await, 1);

    // What shuts it out holds at once; what lets it in, once its role can log in.
    for (verb, at_once, in_the_end) in
        [("suspend", "suspended", "suspended"), ("resume", "suspended", "active")]
    {
        let path = format!("/v1/tenants/acme/{verb}");
        let answer = plane.expect(202, plane.request(Method::POST, &path)).await;
        assert_eq!(answer["tenant"]["state"], at_once, "{verb}");
        plane.finished(&answer["operation"]["id"], "succeeded").await;
        assert_eq!(plane.shown("acme").await["state"], in_the_end, "{verb}");
        assert_eq!(plane.refused(plane.request(Method::POST, &path)).await, "tenant-state");
    }

    let deleting = plane.expect(202, plane.delete("/v1/tenants/acme")).await;
    assert_eq!(deleting["tenant"]["state"], "purging");
    plane.finished(&deleting["operation"]["id"], "succeeded").await;
    assert_eq!(databases(&names).await, 0);
    assert_eq!(plane.refused(plane.get("/v1/tenants/acme")).await, "tenant-not-found");
    let gone = plane.shown(&id).await;
    assert_eq!((&gone["state"], &gone["display_name"]), (&json!("deleted"), &json!("")));
    assert_eq!(plane.refused(plane.delete(&format!("/v1/tenants/{id}"))).await, "tenant-state");
    plane.tenant("acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_everything_and_changes_nothing() {
    let plane = Plane::start().await;
    let audited = plane.catalog.audit_verify().await.unwrap();
    let body = json!({ "slug": "acme", "region": "eu" });
    let plan = plane.expect(200, plane.post("/v1/tenants?dry_run=true", body)).await;
    assert_eq!((&plan["operation"], &plan["considered"][0]["chosen"]), (&json!("provision"), &json!(true)));
    assert!(plan.get("connection_string").is_none());
    assert_eq!(plane.catalog.audit_verify().await.unwrap(), audited);

    plane.tenant("acme").await;
    let audited = plane.catalog.audit_verify().await.unwrap();
    let plan = plane.expect(200, plane.delete("/v1/tenants/acme?dry_run=true")).await;
    assert!(plan["removes"]["database"].as_str().unwrap().starts_with("t_"), "{plan:#}");
    assert_eq!(plan["removes"]["roles"].as_array().unwrap().len(), 3, "{plan:#}");
    let returns: Vec<&Value> =
        plan["steps"].as_array().unwrap().iter().map(|step| &step["point_of_no_return"]).collect();
    assert!(returns.iter().all(|no_return| **no_return == true), "{plan:#}");
    assert_eq!(plane.catalog.audit_verify().await.unwrap(), audited);
    assert_eq!(plane.shown("acme").await["state"], "active");
    // A misspelt switch must not delete for real.
    assert_eq!(plane.refused(plane.delete("/v1/tenants/acme?dryrun=true")).await, "invalid-query");
    assert_eq!(plane.shown("acme").await["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_alike_and_done_once() {
    let plane = Plane::start().await;
    let create = |slug: &str| {
        plane.post("/v1/tenants", json!({ "slug": slug, "region": "eu" })).header("Idempotency-Key", "k-1")
    };
    let first = plane.send(create("acme")).await;
    let second = plane.send(create("acme")).await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.body, second.body, "the secrets too");
    assert_eq!(first.headers["location"], second.headers["location"]);
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(plane.refused(create("other")).await, "idempotency-key-reused");
    let refused = plane.patch("/v1/tenants/acme", json!({ "plan": "gold" })).header("Idempotency-Key", "k-2");
    assert_eq!(plane.refused(refused).await, "plan-unknown");
    let mended = plane.patch("/v1/tenants/acme", json!({ "plan": "free" })).header("Idempotency-Key", "k-2");
    plane.expect(200, mended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_one_key_at_once_make_one_tenant() {
    let plane = Plane::start().await;
    let create = || {
        plane.send(
            plane
                .post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }))
                .header("Idempotency-Key", "k"),
        )
    };
    let answers = futures_util::future::join_all((0..8).map(|_| create())).await;
    for answer in &answers {
        let replayed = answer.status == 202 && answer.body == answers[0].body;
        assert!(
            replayed || answer.body["type"] == "urn:tenantry:problem:idempotency-key-in-flight",
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_tenant_is_found_by_both_names() {
    let plane = Plane::start().await;
    let id = plane.tenant("acme").await["tenant"]["id"].clone();
    let renamed = plane.expect(200, plane.patch("/v1/tenants/acme", json!({ "slug": "acme-corp" }))).await;
    assert_eq!(renamed["slug"], "acme-corp");
    for slug in ["acme", "acme-corp"] {
        assert_eq!(plane.shown(slug).await["id"], id);
    }
    let another = plane.post("/v1/tenants", json!({ "slug": "acme", "region": "eu" }));
    assert_eq!(plane.refused(another).await, "slug-taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_everything_once() {
    let plane = Plane::start().await;
    for number in 0..5 {
        let body = json!({ "slug": format!("t{number}"), "region": "eu", "credentials": false });
        let created = plane.expect(202, plane.post("/v1/tenants", body)).await;
        assert!(created.get("connection_string").is_none() && created.get("api_key").is_none());
    }
    let mut slugs = Vec::new();
    let mut path = "/v1/tenants?limit=2".to_owned();
    loop {
        let page = plane.expect(200, plane.get(&path)).await;
        slugs.extend(page["items"].as_array().unwrap().iter().map(|tenant| tenant["slug"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tenants?limit=2&cursor={cursor}");
    }
    assert_eq!(slugs, ["t0", "t1", "t2", "t3", "t4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_keeps_a_former_name_for_longer_than_usual() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let admin = plane.member("admin", "acme", "admin").await;
    let usual = 7 * 24 * 60 * 60;
    let rename = |keep: u32| json!({ "slug": "umbrella", "keep_old_slug_s": keep });
    let long = admin.asks(&plane, Method::PATCH, "/v1/tenants/acme").json(&rename(usual + 1));
    assert_eq!(plane.refused(long).await, "forbidden");
    plane.expect(200, admin.asks(&plane, Method::PATCH, "/v1/tenants/acme").json(&rename(usual))).await;
    let back = json!({ "slug": "acme", "keep_old_slug_s": usual + 1 });
    plane.expect(200, plane.patch("/v1/tenants/umbrella", back)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_name_is_no_tenants() {
    let reserve =
        |config: &mut config::ControlPlaneConfig| config.reserved_names = vec!["status2".to_owned()];
    let plane = Plane::start_adapted(
        std::sync::Arc::new(control_plane::failpoint::NoFailpoints),
        reqwest::Client::new(),
        reserve,
    )
    .await;
    plane.register_eu().await;
    let body = json!({ "slug": "status2", "region": "eu" });
    assert_eq!(plane.refused(plane.post("/v1/tenants", body)).await, "slug-invalid");
    plane.tenant("acme").await;
    let renamed = plane.patch("/v1/tenants/acme", json!({ "slug": "status2" }));
    assert_eq!(plane.refused(renamed).await, "slug-invalid");
    assert_eq!(
        plane.refused(plane.patch("/v1/tenants/acme", json!({ "slug": "admin" }))).await,
        "slug-invalid"
    );
}

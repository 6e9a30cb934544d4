//! Plans and tenants' own limits through the API.

use crate::fixture::Plane;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_added_listed_and_changed() {
    let plane = Plane::start().await;
    let listed = plane.expect(200, plane.get("/v1/plans")).await;
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|plan| &plan["name"]).collect();
    assert_eq!(names, ["enterprise", "free", "standard"]);

    let gold = json!({ "name": "gold", "pool_size": 30, "floor": 5 });
    let added = plane.expect(201, plane.post("/v1/plans", gold.clone())).await;
    let usual = json!({
        "name": "gold", "pool_size": 30, "client_limit": 500, "queue_limit": 1000, "checkout_timeout_ms": 10_000,
        "floor": 5, "weight": 100, "requests_per_second": 0, "request_burst": 0, "statement_timeout_ms": 0,
        "idle_in_transaction_timeout_ms": 0, "work_mem_kb": 0, "result_bytes_max": 0, "body_bytes_max": 0,
        "storage_soft_bytes": 0, "storage_hard_bytes": 0,
    });
    assert_eq!(added, usual, "what was left out is as usual");
    assert_eq!(plane.refused(plane.post("/v1/plans", gold)).await, "plan-exists");

    let changed = plane.expect(200, plane.patch("/v1/plans/gold", json!({ "weight": 300 }))).await;
    assert_eq!((&changed["weight"], &changed["floor"]), (&json!(300), &json!(5)), "the rest stays");
    assert_eq!(plane.expect(200, plane.get("/v1/plans/gold")).await, changed);
    for nothing in ["/v1/plans/silver", "/v1/plans/No%20Name"] {
        assert_eq!(plane.refused(plane.get(nothing)).await, "plan-not-found");
        assert_eq!(plane.refused(plane.patch(nothing, json!({ "weight": 1 }))).await, "plan-not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_nobody_could_live_with_is_refused() {
    let plane = Plane::start().await;
    for (field, wrong) in [
        ("pool_size", json!({ "pool_size": 0 })),
        ("client_limit", json!({ "client_limit": 1_000_001 })),
        ("queue_limit", json!({ "queue_limit": 0 })),
        ("checkout_timeout_ms", json!({ "checkout_timeout_ms": 3_600_001 })),
        ("weight", json!({ "weight": 0 })),
        ("weight", json!({ "weight": 1001 })),
        ("floor", json!({ "floor": 6 })),
        ("floor", json!({ "pool_size": 3, "floor": 4 })),
        ("statement_timeout_ms", json!({ "statement_timeout_ms": 99 })),
        ("idle_in_transaction_timeout_ms", json!({ "idle_in_transaction_timeout_ms": 86_400_001 })),
        ("work_mem_kb", json!({ "work_mem_kb": 63 })),
        ("storage_soft_bytes", json!({ "storage_soft_bytes": 2, "storage_hard_bytes": 1 })),
    ] {
        let answer = plane.send(plane.patch("/v1/plans/free", wrong)).await;
        assert_eq!(answer.problem(), "invalid-field", "{answer:?}");
        assert_eq!(answer.body["field"], field, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_limits_stand_in_for_its_plans_one_by_one() {
    let plane = Plane::start().await;
    let created = plane.tenant("acme").await;
    let path = "/v1/tenants/acme/entitlements";
    let shown = plane.expect(200, plane.get(path)).await;
    assert_eq!(shown["plan"], "standard");
    assert_eq!(shown["entitlements"]["weight"], json!({ "value": 100, "source": "plan" }));
    assert_eq!(shown["storage"]["standing"], "within");
    let all = shown["entitlements"].as_object().unwrap();
    assert!(all.len() == 15 && all.values().all(|value| value["source"] == "plan"), "{shown}");

    let own = json!({ "floor": 3, "weight": 200, "work_mem_kb": 4096 });
    let changed = plane.expect(200, plane.patch(path, own)).await;
    assert_eq!(changed["entitlements"]["floor"], json!({ "value": 3, "source": "override" }));
    assert_eq!(changed["entitlements"]["pool_size"], json!({ "value": 20, "source": "plan" }));
    let id = created["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let route = plane.catalog.route_by_id(id).await.unwrap().unwrap();
    assert_eq!((route.limits.floor, route.limits.weight, route.limits.work_mem_kb), (3, 200, 4096));

    let stale = plane.patch(path, json!({ "floor": 1 }));
    let stale = stale.header("If-Match", format!("\"{}\"", shown["version"]));
    assert_eq!(plane.refused(stale).await, "stale-version");
    let back = plane.patch(path, json!({ "floor": null }));
    let back = plane.expect(200, back.header("If-Match", format!("\"{}\"", changed["version"]))).await;
    let sources = ["floor", "weight"].map(|name| &back["entitlements"][name]["source"]);
    assert_eq!(sources, ["plan", "override"], "the rest stays");
    assert_eq!(plane.refused(plane.patch(path, json!({ "floor": 21 }))).await, "invalid-field");
    assert_eq!(plane.refused(plane.get("/v1/tenants/nobody/entitlements")).await, "tenant-not-found");
}

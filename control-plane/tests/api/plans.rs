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
        "floor": 5, "weight": 100,
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
    let limits = plane.expect(200, plane.get("/v1/tenants/acme/limits")).await;
    assert_eq!((&limits["plan"], &limits["limits"]["weight"]), (&json!("standard"), &json!(100)));
    assert!(limits["own"].as_object().unwrap().values().all(Value::is_null), "{limits}");

    let own = json!({ "floor": 3, "weight": 200 });
    let changed = plane.expect(200, plane.patch("/v1/tenants/acme/limits", own)).await;
    assert_eq!((&changed["limits"]["floor"], &changed["limits"]["pool_size"]), (&json!(3), &json!(20)));
    let id = created["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let route = plane.catalog.route_by_id(id).await.unwrap().unwrap();
    assert_eq!((route.limits.floor, route.limits.weight), (3, 200), "gateways are told");

    let stale = plane.patch("/v1/tenants/acme/limits", json!({ "floor": 1 }));
    let stale = stale.header("If-Match", format!("\"{}\"", limits["version"]));
    assert_eq!(plane.refused(stale).await, "stale-version");
    let back = plane.patch("/v1/tenants/acme/limits", json!({ "floor": null }));
    let back = plane.expect(200, back.header("If-Match", format!("\"{}\"", changed["version"]))).await;
    assert_eq!(
        (&back["own"]["floor"], &back["own"]["weight"]),
        (&Value::Null, &json!(200)),
        "the rest stays"
    );
    assert_eq!(
        plane.refused(plane.patch("/v1/tenants/acme/limits", json!({ "floor": 21 }))).await,
        "invalid-field"
    );
    assert_eq!(plane.refused(plane.get("/v1/tenants/nobody/limits")).await, "tenant-not-found");
}

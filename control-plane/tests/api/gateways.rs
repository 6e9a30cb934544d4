//! Gateways through the API.

use crate::fixture::Plane;
use catalog_schema::{GatewayHeartbeat, LeaseClaim, LeaseRenewal};
use serde_json::json;
use std::time::Duration;
use tenancy::{GatewayId, Revision};

fn beat(name: &str) -> GatewayHeartbeat {
    GatewayHeartbeat {
        id: GatewayId::generate(),
        name: name.to_owned(),
        region: "eu".parse().unwrap(),
        address: "10.0.0.7:6432".to_owned(),
        applied_revision: Revision::new(3),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_listed_with_their_numbers_the_dead_too() {
    let plane = Plane::start().await;
    let empty = plane.expect(200, plane.get("/v1/gateways")).await;
    assert_eq!(empty["items"], json!([]));
    let beat = beat("gateway-1");
    plane.catalog.gateway_heartbeat(&beat).await.unwrap();
    let listed = plane.expect(200, plane.get("/v1/gateways")).await;
    let shown = &listed["items"][0];
    assert_eq!((&shown["number"], &shown["live"]), (&json!(1), &json!(true)), "{shown}");
    assert_eq!((&shown["address"], &shown["applied_revision"]), (&json!("10.0.0.7:6432"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_a_budget_are_shown_with_the_gateway_and_with_the_cluster() {
    let plane = Plane::start().await;
    let beat = beat("gateway-1");
    plane.catalog.gateway_heartbeat(&beat).await.unwrap();
    let cluster = plane.catalog.cluster_by_name(&"eu-1".parse().unwrap()).await.unwrap().unwrap().cluster;
    let lasts = Duration::from_secs(14);
    let renewal = LeaseRenewal { gateway: beat.id, number: 1, answered: 0, lasts };
    let claim = LeaseClaim { cluster: cluster.id, share: 0, floor: 0, held: 2, long: 0, wanted: 1_000_000 };
    let told = plane.catalog.renew_leases(&renewal, &[claim]).await.unwrap()[0];
    let shown = plane.expect(200, plane.get("/v1/clusters/eu-1")).await;
    let share = &shown["shares"][0];
    assert_eq!((&share["gateway"], &share["gateway_number"]), (&json!("gateway-1"), &json!(1)), "{shown}");
    assert_eq!(
        (&share["share"], &share["floor"], &share["held"]),
        (&json!(told.share), &json!(told.floor), &json!(2))
    );
    let listed = plane.expect(200, plane.get("/v1/gateways")).await;
    assert_eq!(listed["items"][0]["shares"], shown["shares"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_gateway_is_forgotten_only_by_force() {
    let plane = Plane::start().await;
    plane.catalog.gateway_heartbeat(&beat("gateway-1")).await.unwrap();
    let refused = plane.expect(409, plane.delete("/v1/gateways/gateway-1")).await;
    assert_eq!(refused["type"], "urn:tenantry:problem:gateway-live", "{refused}");
    let missing = plane.expect(404, plane.delete("/v1/gateways/gateway-2")).await;
    assert_eq!(missing["type"], "urn:tenantry:problem:gateway-not-found", "{missing}");
    let gone = plane.expect(200, plane.delete("/v1/gateways/gateway-1?force=true")).await;
    assert_eq!((&gone["forgotten"][0]["name"], &gone["living"]), (&json!("gateway-1"), &json!([])), "{gone}");
    let listed = plane.expect(200, plane.get("/v1/gateways")).await;
    assert_eq!(listed["items"], json!([]));
}

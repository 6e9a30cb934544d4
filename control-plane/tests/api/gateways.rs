//! Gateways through the API.

use crate::fixture::Plane;
use catalog_schema::GatewayHeartbeat;
use serde_json::json;
use tenancy::{GatewayId, Revision};

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_listed_with_their_numbers_the_dead_too() {
    let plane = Plane::start().await;
    let empty = plane.expect(200, plane.get("/v1/gateways")).await;
    assert_eq!(empty["items"], json!([]));
    let beat = GatewayHeartbeat {
        id: GatewayId::generate(),
        name: "gateway-1".to_owned(),
        region: "eu".parse().unwrap(),
        address: "10.0.0.7:6432".to_owned(),
        applied_revision: Revision::new(3),
    };
    plane.catalog.gateway_heartbeat(&beat).await.unwrap();
    let listed = plane.expect(200, plane.get("/v1/gateways")).await;
    let shown = &listed["items"][0];
    assert_eq!((&shown["number"], &shown["live"]), (&json!(1), &json!(true)), "{shown}");
    assert_eq!((&shown["address"], &shown["applied_revision"]), (&json!("10.0.0.7:6432"), &json!(3)));
}
